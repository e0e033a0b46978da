"""The adapted reader: like the attacker he knows the method, and learns to read expressions through it.

A linear head on the teacher's penultimate features, trained on anonymized faces of people who are not evaluated, with
the teacher's answers on their clear faces as labels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.nn import functional

RIDGE = 1e-2
"""Weight of the squared norm of the head, per training face; features are standardized."""
ITERATIONS = 100
SLOPE = 1e-4
"""Largest slope at which the descent is over, in the coordinates that it runs in."""
LEAST = 1e-6
"""Of the largest eigenvalue: directions in which features vary less, relative to the ridge, are scaled no further."""


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
    # Coordinates in which Boehning's bound of the curvature is the unit matrix (Ann. Inst. Stat. Math. 1992): features
    # of a network are strongly correlated, and the descent takes half the steps, to a smaller slope.
    curvature = 0.5 * (x.double().T @ x.double()) / count + ridge * torch.eye(dimension).to(x).double()
    values, axes = torch.linalg.eigh(curvature)
    root = (axes * values.clamp_min(LEAST * float(values[-1])).rsqrt()).to(x)
    turned = x @ root

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = torch.from_numpy(flat).to(x).view(dimension + 1, classes)
        weight, bias = root @ head[:-1], head[-1]
        log_p = (turned @ head[:-1] + bias).log_softmax(1)
        error = (log_p.exp() - target) / count
        slope = torch.cat([turned.T @ error + ridge * (root.T @ weight), error.sum(0, keepdim=True)])
        loss = -(log_p * target).sum() / count + 0.5 * ridge * weight.square().sum()
        return float(loss), slope.flatten().cpu().double().numpy()

    # scipy's optimizer and not torch's, whose first use imports torch's compiler for seconds. Its BLAS gets one thread:
    # more of them and torch's wait for each other, and every step takes 30 times as long.
    start = np.zeros((dimension + 1) * classes)
    with _threads().limit(limits=1, user_api="blas"):
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "gtol": SLOPE})
    head = torch.from_numpy(found.x).to(x).view(dimension + 1, classes)
    return Head(mean, scale, root @ head[:-1], head[-1])


@functools.cache
def _threads() -> ThreadpoolController:
    """Find the libraries with threads, once."""
    return ThreadpoolController()
