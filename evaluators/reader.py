"""The adapted reader: like the attacker he knows the method, and learns to read expressions through it.

A linear head on the teacher's penultimate features, trained on anonymized faces of people who are not evaluated, with
the teacher's answers on their clear faces as labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
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
    dimension, count = x.shape[1], len(x)
    target = functional.one_hot(answer, classes).to(x)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = torch.from_numpy(flat).to(x).view(dimension + 1, classes)
        weight, bias = head[:-1], head[-1]
        log_p = (x @ weight + bias).log_softmax(1)
        error = (log_p.exp() - target) / count
        slope = torch.cat([x.T @ error + ridge * weight, error.sum(0, keepdim=True)])
        loss = -(log_p * target).sum() / count + 0.5 * ridge * weight.square().sum()
        return float(loss), slope.flatten().cpu().double().numpy()

    # scipy's optimizer and not torch's, whose first use imports torch's compiler for seconds.
    start = np.zeros((dimension + 1) * classes)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    head = torch.from_numpy(found.x).to(x).view(dimension + 1, classes)
    return Head(mean, scale, head[:-1], head[-1])
