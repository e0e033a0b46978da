"""Refining U-Net: draws a correction of an average face, towards a target identity and a code of the expression.

It begins as no correction at all, and sees nothing but the average, which is made of other people, the code that chose
them, and the identity; so its skip connections, which would hand over a person, have nobody to hand over.

Sources: U-Net, Ronneberger et al., MICCAI 2015 (https://arxiv.org/abs/1505.04597); truncation of what is drawn,
Karras et al., CVPR 2019 (https://arxiv.org/abs/1812.04948); a filter after channels that become pixels, so that they
leave no grid, Sugawara et al., ICIP 2018 (https://arxiv.org/abs/1806.02658); for modulation see `noisy_unet.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonymizers.generative.nets.noisy_unet import Down, Modulated

LEAST = 0.004
"""Of a pixel's share of full brightness, whose logit the correction is added to: a gray level."""


class Smooth(nn.Module):
    """Filter rows and columns by 1, 2, 1, which passes nothing that alternates from pixel to pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; pictures go on beyond their borders as they end there."""
        x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        x = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
        return (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 16


class RefiningUNet(nn.Module):
    """Correct averages of faces, of 112 px.

    Args:
        code: numbers of a code, expression and pose.
        dimension: of an identity embedding.
        width: an eighth of the numbers that modulate; channels are 1.5 times as many at 56 px, where most time goes,
            and 4, 6 and 8 times as many at 28, 14 and 7 px.
    """

    def __init__(self, *, code: int, dimension: int, width: int = 16) -> None:
        super().__init__()
        w, style = width, 8 * width
        self.register_buffer("identity_mean", torch.zeros(dimension))
        self.register_buffer("identity_factor", torch.eye(dimension))
        self.register_buffer("code_center", torch.zeros(code))
        self.register_buffer("code_deviation", torch.ones(code))
        self.style = nn.Sequential(
            nn.Linear(dimension + code, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2)
        )
        fine = 3 * w // 2
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, fine, 3, padding=1), nn.LeakyReLU(0.2))
        self.down = nn.ModuleList((Down(fine, 4 * w), Down(4 * w, 6 * w), Down(6 * w, 8 * w)))
        self.middle = Modulated(8 * w, 8 * w, style)
        self.up = nn.ModuleList(
            (Modulated(14 * w, 4 * w, style), Modulated(8 * w, fine, style), Modulated(2 * fine, fine, style))
        )
        last = nn.Conv2d(fine, 12, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.exit = nn.Sequential(last, nn.PixelShuffle(2), Smooth())

    def identities(self, noise: Tensor, spread: Tensor | float = 1.0) -> Tensor:
        """Turn (..., D) standard normal noise into identities around the training people's mean, unit norm.

        Args:
            noise: of any shape that ends in D.
            spread: of the identities, in that of the training people's: 0 is their mean. A number, or (..., 1).
        """
        mean, factor = self.get_buffer("identity_mean"), self.get_buffer("identity_factor")
        return functional.normalize(mean + spread * (noise.to(mean) @ factor), dim=-1)

    def standardized(self, codes: Tensor) -> Tensor:
        """Return (N, D + 3) codes, coefficients and pose as they are measured, in the training faces' deviations."""
        return (codes - self.get_buffer("code_center")) / self.get_buffer("code_deviation")

    def forward(self, average: Tensor, target: Tensor, code: Tensor) -> Tensor:
        """Draw corrections.

        Args:
            average: (N, 3, 112, 112) float32, RGB in [0, 1].
            target: (N, D) float32 of unit norm, the identities that are drawn.
            code: (N, D + 3) float32, standardized.

        Returns:
            (N, 3, 112, 112) float32, to be added to the logits of the average, see `corrected`.
        """
        style = self.style(torch.cat((target * target.shape[1] ** 0.5, code), 1))
        x = self.enter(average * 2 - 1)
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        x = self.middle(x, style)
        for layer, skipped in zip(self.up, reversed(passed), strict=True):
            doubled = functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = layer(torch.cat((doubled, skipped), 1), style)
        correction: Tensor = self.exit(x)
        return correction.float()


def corrected(average: Tensor, correction: Tensor) -> Tensor:
    """Add (N, 3, S, S) corrections to the logits of averages of the same shape, RGB in [0, 1]; 0 changes nothing."""
    return (average.clamp(LEAST, 1 - LEAST).logit() + correction).sigmoid()
