"""The adapted reader: like the attacker he knows the method, and learns to read expressions through it.

A linear head on the teacher's penultimate features, trained on anonymized faces of people who are not evaluated, with
the teacher's answers on their clear faces as labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

RIDGE = 1e-2
"""Weight of the squared norm of the head, per training face; features are standardized."""
ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Head:
    """Hold a linear head on standardized features: mean, scale (F,), weight (F, C), bias (C,), float32."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return (N, C) logits of (N, F) features."""
        return ((features - self.mean) / self.scale) @ self.weight + self.bias


def fit(features: Tensor, answer: Tensor, classes: int, *, ridge: float = RIDGE) -> Head:
    """Fit a multinomial logistic regression by L-BFGS from zero; convex, so without a seed.

    Args:
        features: (A, F) float32, of the anonymized training faces.
        answer: (A,) int64 in [0, classes), the teacher's on the clear faces.
        classes: C.
        ridge: L2 penalty on the weights (not the bias).
    """
    mean, scale = features.mean(0), features.std(0, correction=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    x = (features - mean) / scale
    weight = torch.zeros(x.shape[1], classes, device=x.device, requires_grad=True)
    bias = torch.zeros(classes, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(x @ weight + bias, answer) + 0.5 * ridge * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return Head(mean, scale, weight.detach(), bias.detach())
