"""Our generator: a U-Net whose every connection from the source to the picture is a noisy channel.

What it draws is decided by a target identity, which modulates the decoder; the source reaches the picture only through
two narrow codes with noise of learned strength, each of whose nats the training has to pay for, and one word where the
generator is told the expression, which modulates the decoder beside the identity. A plain U-Net would
hand the geometry of the face through its skip connections, and with it the person.

Sources: U-Net, Ronneberger et al., MICCAI 2015 (https://arxiv.org/abs/1505.04597); the price of a nat, Alemi et al.,
Deep variational information bottleneck, ICLR 2017 (https://arxiv.org/abs/1612.00410); modulation, Huang and
Belongie, ICCV 2017 (https://arxiv.org/abs/1703.06868); normalization of pixels, Karras et al., ICLR 2018
(https://arxiv.org/abs/1710.10196).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 112
INPUT = 56
"""Side of what the encoder sees, px."""
CODES = ((8, 7), (2, 14))
"""Channels and side of the two codes."""


LOUDNESS = 4.0
"""Of a word beside the numbers of an identity, which have a deviation of 1 and are many."""
SLOWNESS = 0.25
"""Of the mean faces' pixels, which would learn faster than the weights that draw around them."""


class Down(nn.Module):
    """Halve the resolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H / 2, W / 2)."""
        return functional.silu(self.norm(self.conv(x)))


class Channel(nn.Module):
    """A noisy channel: the mean and the log-variance of a code."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, 2 * width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, inside, H, W) to two (N, width, H, W)."""
        mean, spread = self.conv(x).float().chunk(2, 1)
        return mean, spread.clamp(-8, 4)


class Modulated(nn.Module):
    """Convolve, normalize each pixel over its channels, then scale and shift them as the identity asks.

    Normalized over pixels instead, one bright pixel can decide what all others are divided by, and training finds it.
    """

    def __init__(self, inside: int, outside: int, style: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, padding=1)
        self.affine = nn.Linear(style, 2 * outside)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (N, inside, H, W) and (N, style) to (N, outside, H, W)."""
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, 1)
        x = self.conv(x)
        x = x * (x.square().mean(1, keepdim=True) + 1e-6).rsqrt()
        return functional.leaky_relu(x * (1 + scale) + shift, 0.2)


class NoisyUNet(nn.Module):
    """Encode context and signal into two codes, decode them as a face of a target identity.

    Args:
        inputs: channels of context and signal together.
        dimension: of an identity embedding.
        width: half of the channels at 56 px; coarser levels have up to four times as many.
        words: numbers of what is told in words.
        means: whether it draws what differs from a mean face, of each word where some are told, and doubles
            smoothly: photographs are learned many times faster, the demo's sharp edges more slowly.
    """

    def __init__(self, *, inputs: int, dimension: int, width: int = 16, words: int = 0, means: bool = False) -> None:
        super().__init__()
        w, style = width, 8 * width
        self.register_buffer("identity_mean", torch.zeros(dimension))
        self.register_buffer("identity_factor", torch.eye(dimension))
        self.enter = nn.Conv2d(inputs, 2 * w, 3, padding=1)
        self.down = nn.ModuleList((Down(2 * w, 2 * w), Down(2 * w, 4 * w), Down(4 * w, 8 * w)))
        (coarse, _), (fine, _) = CODES
        self.channels = nn.ModuleList((Channel(8 * w, coarse), Channel(4 * w, fine)))
        self.style = nn.Sequential(
            nn.Linear(dimension + words, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2)
        )
        self.start = nn.Parameter(0.5 * torch.randn(1, 8 * w, 7, 7))
        self.up = nn.ModuleList(
            (
                Modulated(8 * w + coarse, 8 * w, style),
                Modulated(8 * w + fine, 6 * w, style),
                Modulated(6 * w, 4 * w, style),
                Modulated(4 * w, 2 * w, style),
            )
        )
        self.refine = nn.ModuleList((Modulated(8 * w, 8 * w, style), Modulated(6 * w, 6 * w, style)))
        # The last doubling is a rearrangement of channels: at full size even additions would cost most of the time.
        self.exit = nn.Sequential(nn.Conv2d(2 * w, 12, 3, padding=1), nn.PixelShuffle(2))
        last = self.exit[0]
        assert isinstance(last, nn.Conv2d)
        with torch.no_grad():  # the four pixels of a square begin as one (Aitken et al., arxiv.org/abs/1707.02937)
            last.weight.copy_(last.weight[::4].repeat_interleave(4, 0))
            last.bias.zero_()  # type: ignore[union-attr]
        self.means: nn.Parameter | None = None
        if means:
            self.means = nn.Parameter(torch.zeros(1 + words, 3, SIDE, SIDE))
            with torch.no_grad():
                last.weight.mul_(0.2)

    def begin_with_means(self, images: Tensor, told: Tensor) -> None:
        """Set the mean faces: of all (N, 3, 112, 112) float pictures in [0, 1], and of those told each of (N, W) words.

        A word that nobody was told gets the mean of all.
        """
        assert self.means is not None
        shares = torch.cat((torch.ones(len(told), 1).to(told), told), 1)
        count = shares.sum(0)
        sums = (shares.T @ images.flatten(1)).view(-1, *images.shape[1:])
        logits = (sums / count.clamp_min(1)[:, None, None, None]).clamp(0.01, 0.99).logit()
        logits[1:] = torch.where((count[1:] > 0)[:, None, None, None], logits[1:] - logits[:1], 0.0)
        with torch.no_grad():
            self.means.copy_(logits / SLOWNESS)

    def identities(self, noise: Tensor) -> Tensor:
        """Turn (..., D) standard normal noise into identities as the training people's are distributed, unit norm."""
        mean, factor = self.get_buffer("identity_mean"), self.get_buffer("identity_factor")
        return functional.normalize(mean + noise.to(mean) @ factor, dim=-1)

    def encode(self, given: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Map (N, inputs, 56, 56) float to means and log-variances, (N, 8, 7, 7) and (N, 2, 14, 14) float32."""
        x = functional.silu(self.enter(given * 2 - 1))
        passed = []
        for down in self.down:
            x = down(x)
            passed.append(x)
        return [channel(x) for channel, x in zip(self.channels, (passed[2], passed[1]), strict=True)]

    def decode(self, codes: Sequence[Tensor], target: Tensor, told: Tensor) -> Tensor:
        """Draw faces.

        Args:
            codes: (N, 8, 7, 7) and (N, 2, 14, 14) float.
            target: (N, D) float32 of unit norm, the identities that are drawn.
            told: (N, words) float32 in [0, 1].

        Returns:
            (N, 3, 112, 112) float32, RGB in [0, 1].
        """
        style = self.style(torch.cat((target * target.shape[1] ** 0.5, LOUDNESS * told), 1))
        x = torch.cat((self.start.expand(len(target), -1, -1, -1), codes[0].to(self.start.dtype)), 1)
        x = self.refine[0](self.up[0](x, style), style)
        x = torch.cat((self._doubled(x), codes[1].to(x.dtype)), 1)
        x = self.refine[1](self.up[1](x, style), style)
        for layer in list(self.up)[2:]:
            x = layer(self._doubled(x), style)
        logits: Tensor = self.exit(x).float()
        if self.means is not None:
            own = (told.float() @ self.means[1:].flatten(1)).view_as(logits) if told.shape[1] else 0.0
            logits = logits + SLOWNESS * (self.means[:1] + own)
        return logits.sigmoid()

    def _doubled(self, x: Tensor) -> Tensor:
        if self.means is None:
            return functional.interpolate(x, scale_factor=2, mode="nearest")
        return functional.interpolate(x, scale_factor=2, mode="bilinear")


def sample(channels: Sequence[tuple[Tensor, Tensor]], noise: Sequence[Tensor], strength: float = 1.0) -> list[Tensor]:
    """Send codes through their channels.

    Args:
        channels: means and log-variances, (N, C, H, W) each.
        noise: standard normal, of the same shapes.
        strength: of the noise, in its learned deviations.

    Returns:
        the codes, (N, C, H, W) float32 each.
    """
    return [m + strength * (0.5 * v).exp() * n for (m, v), n in zip(channels, noise, strict=True)]


def nats(channels: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Compute how many nats each picture's codes can carry at most: the (N,) divergence from a standard normal."""
    parts = [0.5 * (m.square() + v.exp() - 1 - v).flatten(1).sum(1) for m, v in channels]
    return torch.stack(parts).sum(0)
