"""The U-Net that restores faces: small, at 56 px and below, with pixels folded into channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.networks.backends.feeding import resized

SIDE = 112
"""Side in px of what is restored: what the embedders see."""
FOLD, WIDTHS = 2, (32, 64, 96)
"""Pixels of a side that become channels, and channels at each size; sides are multiples of FOLD · 2 ** sizes."""
GROUPS = 8
COLORS = 3


class Block(nn.Module):
    """Convolve, normalize and bend, convolve and bend, around a shortcut; a condition scales and shifts (FiLM).

    Source of the condition's way in: Perez et al., AAAI 2018 (https://arxiv.org/abs/1709.07871).
    """

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1)
        self.film = nn.Linear(condition, 2 * outputs) if condition else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map (N, inputs, H, W), under a condition (C,), to (N, outputs, H, W)."""
        y = self.norm(self.first(x))
        if self.film is not None:
            scale, shift = self.film(condition)[:, None, None].chunk(2)
            y = y * (1 + scale) + shift
        y = functional.gelu(y)
        out: Tensor = functional.gelu(self.second(y)) + self.short(x)
        return out


class UNet(nn.Module):
    """Restore a face from its anonymized picture and a first guess; untrained it nearly returns a blend of both."""

    def __init__(
        self,
        generator: torch.Generator,
        share: float,
        condition: int = 0,
        fold: int | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        """Draw the weights.

        Args:
            generator: of the weights, on the CPU.
            share: of the guess in the blend that it starts from, in (0, 1).
            condition: numbers that it is told besides the pictures; the same for a whole batch.
            fold, widths: its size; None for FOLD and WIDTHS.
        """
        super().__init__()
        self.fold = fold = fold or FOLD
        widths = widths or WIDTHS
        folded = 2 * COLORS * fold**2
        self.down = nn.ModuleList(
            Block(inputs, outputs, condition) for inputs, outputs in zip((folded, *widths[:-1]), widths, strict=True)
        )
        self.middle = Block(widths[-1], widths[-1], condition)
        self.up = nn.ModuleList(
            Block(below + beside, beside, condition)
            for below, beside in zip((widths[-1], *widths[:0:-1]), reversed(widths), strict=True)
        )
        self.last = nn.Conv2d(widths[0], (COLORS + 1) * fold**2, 1)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    weight = module.weight
                    weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
                    module.bias = nn.Parameter(torch.zeros(module.out_channels))
                elif isinstance(module, nn.Linear):  # a condition that says nothing yet
                    module.weight.zero_()
                    module.bias.zero_()
            self.last.weight.mul_(0.1)
            bias = torch.zeros((COLORS + 1) * fold**2)
            bias[COLORS * fold**2 :] = math.log(share / (1 - share))
            self.last.bias = nn.Parameter(bias)

    def forward(self, picture: Tensor, guess: Tensor, condition: Tensor | None = None) -> Tensor:
        """Restore faces.

        Args:
            picture, guess: (N, 3, H, W) in [0, 1].
            condition: (C,) float32, of all of them.

        Returns:
            (N, 3, H, W), about in [0, 1].
        """
        x = functional.pixel_unshuffle(torch.cat([picture, guess], 1) - 0.5, self.fold)
        beside = []
        for block in self.down:
            x = block(x, condition)
            beside.append(x)
            x = functional.avg_pool2d(x, 2)
        x = self.middle(x, condition)
        for block, left in zip(self.up, reversed(beside), strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), left], 1), condition)
        out = functional.pixel_shuffle(self.last(x), self.fold)
        gate = out[:, COLORS:].sigmoid()
        return picture + gate * (guess - picture) + out[:, :COLORS]


def to_side(images: Tensor) -> Tensor:
    """Bring (N, 3, S, S) uint8 to (N, 3, 112, 112) float32 in [0, 1]."""
    return resized(images.float() / 255, SIDE)
