"""The U-Net that restores faces: small, at 56 px and below, with pixels folded into channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FOLD = 2
WIDTHS = (32, 64, 96)
GROUPS = 8
COLORS = 3


class Block(nn.Module):
    """Normalize, convolve and bend twice, around a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        y = functional.gelu(self.norm(self.first(x)))
        out: Tensor = functional.gelu(self.second(y)) + self.short(x)
        return out


class UNet(nn.Module):
    """Restore a face from its anonymized picture and a first guess; untrained it nearly returns a blend of both."""

    def __init__(self, generator: torch.Generator, share: float) -> None:
        """Draw the weights.

        Args:
            generator: of the weights, on the CPU.
            share: of the guess in the blend that it starts from, in (0, 1).
        """
        super().__init__()
        folded = 2 * COLORS * FOLD**2
        self.down = nn.ModuleList(
            Block(inputs, outputs) for inputs, outputs in zip((folded, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.middle = Block(WIDTHS[-1], WIDTHS[-1])
        self.up = nn.ModuleList(
            Block(below + beside, beside)
            for below, beside in zip((WIDTHS[-1], *WIDTHS[:0:-1]), reversed(WIDTHS), strict=True)
        )
        self.last = nn.Conv2d(WIDTHS[0], (COLORS + 1) * FOLD**2, 1)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    weight = module.weight
                    weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
                    module.bias = nn.Parameter(torch.zeros(module.out_channels))
            self.last.weight.mul_(0.1)
            bias = torch.zeros((COLORS + 1) * FOLD**2)
            bias[COLORS * FOLD**2 :] = math.log(share / (1 - share))
            self.last.bias = nn.Parameter(bias)

    def forward(self, picture: Tensor, guess: Tensor) -> Tensor:
        """Map two pictures (N, 3, H, W) in [0, 1], H and W multiples of 16, to a restored one, about in [0, 1]."""
        x = functional.pixel_unshuffle(torch.cat([picture, guess], 1) - 0.5, FOLD)
        beside = []
        for block in self.down:
            x = block(x)
            beside.append(x)
            x = functional.avg_pool2d(x, 2)
        x = self.middle(x)
        for block, left in zip(self.up, reversed(beside), strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), left], 1))
        out = functional.pixel_shuffle(self.last(x), FOLD)
        gate = out[:, COLORS:].sigmoid()
        return picture + gate * (guess - picture) + out[:, :COLORS]
