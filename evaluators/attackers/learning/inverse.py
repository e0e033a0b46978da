"""The regularized inverse of a method that mixes pixels linearly: two small matrix products a picture.

The estimate is the most likely clear face, given the released one: faces are normal around their mean, with one
covariance of rows and one of columns, and what is released is rounded (Wiener, 1949; for separable operators Nagy and
O'Leary, SIAM J. Sci. Comput. 1998, https://doi.org/10.1137/S106482759528507X). Everything is measured on faces of other
people. Blocks whose means alone are released become interpolated ones by the same formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anonymizers.linear import Linear

NOISES = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
"""Tried, variance of a released pixel in squared gray levels; rounding alone has 1/12, compression hundreds,
added noise whatever its deviation is."""
ROUNDS = 6
"""Of guessing what the method saw outside of its region: its own picture there is known, and mixed in at the edge."""
SOME = 64
"""Faces that the variance is chosen on."""
CHUNK = 128


@dataclass(frozen=True, eq=False)
class Inverse:
    """Hold a fitted inverse.

    Attributes:
        linear: what the method does.
        mean: (3, S, S) float32, of the clear faces.
        rows, columns: (S, S) float32 each, the analysis of a released picture: rows @ y @ columnsᵀ.
        gain: (S, S) float32, what is left of each coefficient.
        up, down: (S, S) float32, the synthesis: up @ z @ downᵀ.
        noise: variance that was chosen.
    """

    linear: Linear
    mean: Tensor
    rows: Tensor
    columns: Tensor
    gain: Tensor
    up: Tensor
    down: Tensor
    noise: float

    def __call__(self, released: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 released pictures to (N, 3, S, S) uint8 estimates of the clear ones."""
        return torch.cat([self._some(part) for part in released.split(CHUNK)])

    def _some(self, released: Tensor) -> Tensor:
        y, region = released.float(), self.linear.region
        if region.all():
            clear = self._once(y)
        else:
            clear = torch.where(region, self.mean, y)
            for _ in range(ROUNDS):
                clear = torch.where(region, self._once(torch.where(region, y, self.linear(clear))), y)
        return clear.round_().clamp_(0, 255).to(torch.uint8)

    def _once(self, y: Tensor) -> Tensor:
        found = self.rows @ (y - self.linear(self.mean)) @ self.columns.T
        return self.mean + self.up @ (self.gain * found) @ self.down.T


@dataclass(frozen=True, eq=False)
class Prior:
    """Hold how clear faces vary: their mean (3, S, S) float32, and (S, S) float64 covariances of rows and columns.

    The covariance of two pixels is the product of that of their rows and that of their columns.
    """

    mean: Tensor
    rows: Tensor
    columns: Tensor


Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Of an inverse: rows, columns, gain, up, down."""


def prior_of(clear: Tensor) -> Prior:
    """Measure how (A, 3, S, S) uint8 faces vary."""
    mean = clear.float().mean(0)
    size, count = clear.shape[-1], clear.shape[0] * clear.shape[1]
    rows = columns = torch.zeros(size, size, dtype=torch.float64, device=clear.device)
    for part in clear.split(CHUNK):
        off = (part - mean).flatten(0, 1)
        rows = rows + torch.einsum("nij,nkj->ik", off, off).double()
        columns = columns + torch.einsum("nij,nik->jk", off, off).double()
    total = (rows.trace() / count).clamp_min(1e-12)  # of the variances of all pixels
    return Prior(mean, rows / rows.trace() * total.sqrt(), columns / columns.trace() * total.sqrt())


def fit(linear: Linear, prior: Prior, clear: Tensor, released: Tensor) -> Inverse:
    """Fit the inverse on faces of other people, the variance of what is released by the error of its estimates.

    Args:
        linear: what the method does.
        prior: of the faces.
        clear: (A, 3, S, S) uint8.
        released: (A, 3, S, S) uint8, the same faces anonymized.
    """
    solve = _separable(linear, prior) if len(linear.operators) == 1 else _spectral(linear, prior, clear)
    best: tuple[float, Inverse] | None = None
    for noise in NOISES:
        inverse = Inverse(linear, prior.mean, *solve(noise), noise)
        error = float((inverse(released[:SOME]).float() - clear[:SOME].float()).square().mean())
        if best is None or error < best[0]:
            best = error, inverse
    assert best is not None
    return best[1]


def _separable(linear: Linear, prior: Prior) -> Callable[[float], Parts]:
    """Return, for a variance, the parts of the inverse of one operator."""
    operator = linear.operators[0].double()

    def half(covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp_min(0).sqrt()
        left, singular, right = torch.linalg.svd(operator @ root)
        return left, singular, root @ right.T

    left, s, up = half(prior.rows)
    other, t, down = half(prior.columns)
    strength = linear.weights[0] * s[:, None] * t[None, :]

    def solve(noise: float) -> Parts:
        gain = strength / (strength.square() + noise)
        return left.T.float(), other.T.float(), gain.float(), up.float(), down.float()

    return solve


def _spectral(linear: Linear, prior: Prior, clear: Tensor) -> Callable[[float], Parts]:
    """Return, for a variance, the parts of the inverse of several blurs, whose waves are a reflected line's cosines."""
    size = clear.shape[-1]
    at = torch.arange(size, dtype=torch.float64, device=clear.device)
    cosines = torch.cos(torch.pi * at[:, None] * at[None, :] / (size - 1))
    analysis = torch.linalg.inv(cosines)
    strength = torch.zeros(size, size, dtype=torch.float64, device=clear.device)
    for weight, operator in zip(linear.weights, linear.operators, strict=True):
        values = (analysis @ operator.double() @ cosines).diagonal()
        strength += weight * values[:, None] * values[None, :]
    power = torch.zeros_like(strength)
    for part in clear.split(CHUNK):
        power += (analysis.float() @ (part - prior.mean) @ analysis.float().T).square().sum((0, 1)).double()
    power /= clear.shape[0] * clear.shape[1]
    white = analysis.square().sum(1)
    white = white[:, None] * white[None, :]

    def solve(noise: float) -> Parts:
        gain = strength * power / (strength.square() * power + noise * white)
        return analysis.float(), analysis.float(), gain.float(), cosines.float(), cosines.float()

    return solve
