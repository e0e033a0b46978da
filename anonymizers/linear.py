"""Linear: what a method mixes linearly, said by the method itself, so that an attacker need not learn it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Linear:
    """Say that inside a region a released picture is offset + Σ weight · operator @ clear @ operatorᵀ, rounded.

    Attributes:
        operators: (S, S) float32 each; several of them are blurs with reflected borders, as `gaussian` makes.
        weights: one per operator.
        offset: gray levels.
        region: (S, S) bool; outside of it the picture is as it was.
    """

    operators: tuple[Tensor, ...]
    weights: tuple[float, ...]
    offset: float
    region: Tensor

    def to(self, device: torch.device) -> Linear:
        """Return the same on a device."""
        operators = tuple(operator.to(device) for operator in self.operators)
        return Linear(operators, self.weights, self.offset, self.region.to(device))

    def __call__(self, images: Tensor) -> Tensor:
        """Mix (N, 3, S, S) float32 pictures, the region left aside and nothing rounded."""
        out = images.new_full((), self.offset)
        for weight, operator in zip(self.weights, self.operators, strict=True):
            out = out + weight * (operator @ images @ operator.T)
        return out
