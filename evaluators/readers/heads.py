"""Heads: linear maps from standardized features to what a judge says, fitted together for all judges.

Classes by multinomial logistic regression, coefficients by ridge; both with the penalty under which people who were
left out are read best.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.nn import functional

PENALTIES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)
"""Of the squared weights, per training face and in units of the features' mean variance."""
CLIP = 4.0
"""Deviations beyond which a feature says no more: pictures unlike all training faces must not explode."""
FLOOR = 0.1
"""Least deviation of a feature, in those of its network's median feature."""
LEAST = 1e-5
"""Of the largest eigenvalue: directions in which faces vary less carry rounding alone."""
ITERATIONS, SLOPE = 100, 1e-4


@dataclass(frozen=True, eq=False)
class Scale:
    """Hold what features are standardized by: mean and deviation, (F,) float32."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Standardize (N, F) features, at most CLIP deviations from the mean."""
        return ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)


def scale_of(features: Tensor, blocks: Sequence[int]) -> Scale:
    """Measure mean and deviation of (A, F) features, with a floor for those that hardly vary.

    Args:
        features: (A, F) float32.
        blocks: widths of the networks' shares of F.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0)
    floors = [part.median().expand_as(part) for part in deviation.split(list(blocks))]
    deviation = torch.maximum(deviation, FLOOR * torch.cat(floors))
    return Scale(mean, torch.where(deviation > 1e-6, deviation, 1.0))


@dataclass(frozen=True, eq=False)
class Head:
    """Hold a linear map of standardized features, weight (F, K) and bias (K,), its penalty, and how good it is.

    `left_out` is how well people are read who were left out, see `goodness`.
    """

    scale: Scale
    weight: Tensor
    bias: Tensor
    penalty: float
    left_out: float

    def __call__(self, features: Tensor) -> Tensor:
        """Return (N, K) of (N, F) features."""
        return self.scale(features) @ self.weight + self.bias


def fit_heads(
    features: Tensor, targets: Mapping[str, Tensor], person: Tensor, blocks: Sequence[int]
) -> dict[str, Head]:
    """Fit a head for every judge on the same faces.

    Args:
        features: (A, F) float32, of the training faces.
        targets: judge -> (A,) int64 classes from 0, or (A, D) float32 coefficients.
        person: (A,) int64, whose faces they are; people are left out together where the penalty is chosen.
        blocks: widths of the networks' shares of F.

    Returns:
        judge -> head; of classes, one output for each up to the largest that occurs.
    """
    scale = scale_of(features, blocks)
    x = scale(features)
    center = x.mean(0)
    scores, values, axes = _principal(x - center)
    wanted = {name: _as_columns(target) for name, target in targets.items()}
    chosen = _penalties(scores, values, wanted, targets, person)
    heads = {}
    for name, y in wanted.items():
        left_out, penalty = chosen[name]
        if targets[name].is_floating_point():
            mean = y.mean(0)
            weight = axes @ ((scores.T @ (y - mean)) / len(x) / (values + penalty)[:, None])
            heads[name] = Head(scale, weight, mean - center @ weight, penalty, left_out)
        else:
            turned, bias = _logistic(scores, values, y, penalty)
            weight = axes @ turned
            heads[name] = Head(scale, weight, bias - center @ weight, penalty, left_out)
    return heads


def goodness(said: Tensor, target: Tensor) -> float:
    """Say how well (n, K) answers meet their target: the share of right classes, or of squares explained."""
    if target.is_floating_point():
        return 1 - float((said - target).square().sum() / target.square().sum().clamp_min(1e-12))
    return float((said.argmax(1) == target).double().mean())


def _as_columns(target: Tensor) -> Tensor:
    return target if target.is_floating_point() else functional.one_hot(target).float()


def _principal(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return centered (n, F) features in their principal axes: (n, r) scores, (r,) variances, (F, r) axes."""
    n, width = x.shape
    values, vectors = torch.linalg.eigh((x.T @ x if width <= n else x @ x.T) / n)
    kept = values > max(LEAST * float(values[-1]), 1e-9)
    values, vectors = values[kept], vectors[:, kept]
    axes = vectors if width <= n else x.T @ vectors / (values * n).sqrt()
    return x @ axes, values, axes


def _penalties(
    scores: Tensor, values: Tensor, wanted: Mapping[str, Tensor], targets: Mapping[str, Tensor], person: Tensor
) -> dict[str, tuple[float, float]]:
    """Choose each judge's penalty by the people left out, see `goodness`; return how good, and the penalty.

    The ridge of one group is solved exactly without it: its residuals are (I - H)⁻¹ r, H its block of the hat matrix.
    """
    y = torch.cat(list(wanted.values()), 1)
    mean = y.mean(0)
    groups = [torch.nonzero(person == one)[:, 0] for one in person.unique()]
    unit = float(values.sum() / max(1, len(values))) if len(values) else 1.0
    best: dict[str, tuple[float, float]] = {}
    for penalty in (p * unit for p in PENALTIES):
        shrunk = (values / (values + penalty) / (values * len(scores))).sqrt()
        hat = scores * shrunk  # H = hat hatᵀ
        residual = (y - mean) - hat @ (hat.T @ (y - mean))
        left_out = torch.empty_like(residual)
        for rows in groups:
            own = hat[rows]
            block = torch.eye(len(rows)).to(own) * (1 + 1e-6) - own @ own.T
            left_out[rows] = torch.linalg.solve(block, residual[rows])
        predicted = (y - left_out).split([column.shape[1] for column in wanted.values()], 1)
        for name, guess in zip(wanted, predicted, strict=True):
            good = goodness(guess, targets[name])
            if name not in best or good > best[name][0]:
                best[name] = (good, penalty)
    return best


def _logistic(scores: Tensor, values: Tensor, target: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Fit a multinomial logistic regression in principal axes by L-BFGS from zero; convex, so without a seed.

    The descent runs in coordinates in which Böhning's bound of the curvature (Ann. Inst. Stat. Math. 1992) is the unit
    matrix. A logistic loss is at most a quarter as curved as a squared one: the penalty is scaled as much.

    Args:
        scores, values: of the (n, F) features.
        target: (n, C) float32, one-hot.
        penalty: of the ridge.

    Returns:
        weight (r, C) and bias (C,).
    """
    ridge, (count, rank), classes = penalty / 4, scores.shape, target.shape[1]
    root = (0.5 * values + ridge).rsqrt()
    turned = scores * root

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = torch.from_numpy(flat).to(scores).view(rank + 1, classes)
        weight = root[:, None] * head[:-1]
        log_p = (turned @ head[:-1] + head[-1]).log_softmax(1)
        error = (log_p.exp() - target) / count
        slope = torch.cat([turned.T @ error + ridge * root[:, None] * weight, error.sum(0, keepdim=True)])
        loss = -(log_p * target).sum() / count + 0.5 * ridge * weight.square().sum()
        return float(loss), slope.flatten().cpu().double().numpy()

    # scipy's optimizer and not torch's, whose first use imports torch's compiler for seconds. Its BLAS gets one thread:
    # more of them and torch's wait for each other, and every step takes 30 times as long.
    start = np.zeros((rank + 1) * classes)
    with _threads().limit(limits=1, user_api="blas"):
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "gtol": SLOPE})
    head = torch.from_numpy(found.x).to(scores).view(rank + 1, classes)
    return root[:, None] * head[:-1], head[-1]


@functools.cache
def _threads() -> ThreadpoolController:
    """Find the libraries with threads, once."""
    return ThreadpoolController()
