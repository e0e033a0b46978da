"""Distances between distributions: the anonymized pictures as a set against the originals as a set."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet(a: Tensor, b: Tensor) -> float:
    """Compute the Fréchet distance of two Gaussians fitted to features (Heusel et al., https://arxiv.org/abs/1706.08500).

    The trace of the root of the product of two covariances is the sum of the singular values of the product of the
    centered features: exact, and cheap with fewer pictures than dimensions.

    Args:
        a, b: (N, D) and (M, D) float, features of the originals and of the anonymized; N and M at least 2.

    Returns:
        the squared distance, at least 0.
    """
    a, b = a.double(), b.double()
    mean = (a.mean(0) - b.mean(0)).square().sum()
    x = (a - a.mean(0)) / (len(a) - 1) ** 0.5
    y = (b - b.mean(0)) / (len(b) - 1) ** 0.5
    both = x @ y.T if len(x) * len(y) < x.shape[1] ** 2 else _root(x) @ _root(y)
    overlap = torch.linalg.svdvals(both).sum()
    return max(0.0, float(mean + x.square().sum() + y.square().sum() - 2 * overlap))


def kid(a: Tensor, b: Tensor) -> float:
    """Compute the kernel distance, the unbiased estimate over all pairs (Bińkowski et al., arXiv 1801.01401).

    Args:
        a, b: (N, D) and (M, D) float, features; N and M at least 2.

    Returns:
        the squared maximum mean discrepancy under (x·y / D + 1)³; of equal distributions 0 in expectation, so it can
        be below 0.
    """
    a, b = a.double(), b.double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        value: Tensor = (x @ y.T / x.shape[1] + 1) ** 3
        return value

    def within(x: Tensor) -> Tensor:
        values = kernel(x, x)
        return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def _root(x: Tensor) -> Tensor:
    """Return the symmetric root (D, D) of the covariance of centered, scaled features (N, D)."""
    values, vectors = torch.linalg.eigh(x.T @ x)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
