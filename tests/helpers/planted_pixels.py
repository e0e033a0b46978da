"""Pixels that an attacker can put back, and how many hits luck alone gives."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

PEOPLE, PICTURES = 30, 4
CHANCE = 1 / PEOPLE
MOST_BY_CHANCE = 8 / 60
"""60 probes at 1/30: more than 8 hits have a probability below 0.001."""


def tiles_moved(images: Tensor) -> Tensor:
    """Give each of 16 tiles another place: all is there, and nothing where the embedder looks for it."""
    tiles = images.unflatten(3, (4, 28)).unflatten(2, (4, 28)).permute(0, 1, 2, 4, 3, 5).flatten(2, 3)
    tiles = tiles[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(3))]
    return tiles.unflatten(2, (4, 4)).permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)


class Linear:
    """Embed faces by a fixed random map of their 8 px blocks."""

    name = "linear"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        layer = nn.Linear(3 * 14 * 14, 64)
        layer.weight.data = torch.randn(64, 3 * 14 * 14, generator=generator) / 24
        layer.bias.data.zero_()
        self.module: nn.Module = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), layer).requires_grad_(False)

    def embed(self, images: Tensor) -> Tensor:
        return functional.normalize(self.module(images.float() / 127.5 - 1), dim=1)

    def unfrozen(self) -> Linear:
        new = copy.copy(self)
        new.module = copy.deepcopy(self.module).requires_grad_(True)
        return new
