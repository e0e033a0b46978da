"""Probabilistic linear discriminant analysis: Gaussian people, Gaussian pictures of each; closed form.

Source: Ioffe, Probabilistic linear discriminant analysis, ECCV 2006 (https://doi.org/10.1007/11744085_41).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SHRINKAGE = 0.4
"""Share of the mean variance in the within-person covariance: with five pictures of 158 people in 512 dimensions the
sample covariance alone overfits (docs/LOG.md has the other values)."""
FLOOR = 1e-6
"""Least within-person variance, summed over dimensions, of unit-norm embeddings: a network that gets the same picture
at another place in a batch answers differently by rounding, which is no trace of a person."""


@dataclass(frozen=True, eq=False)
class Plda:
    """Hold a fitted model of P people in D dimensions, K of which tell people apart.

    Attributes:
        mean: (D,) float32, of all pictures.
        projection: (D, K) float32, onto coordinates in which a person's pictures have unit variance and the people a
            diagonal one.
        between: (K,) float32, variance of the people there, positive.
        center: (P, K) float32, posterior mean of each enrolled person there.
        spread: (P, K) float32, variance of a new picture of him there.
    """

    mean: Tensor
    projection: Tensor
    between: Tensor
    center: Tensor
    spread: Tensor

    def coordinates(self, embedding: Tensor) -> Tensor:
        """Return (N, K) coordinates of (N, D) embeddings, weighted by what each tells about the person."""
        return (embedding - self.mean) @ self.projection * (self.between / (self.between + 1)).sqrt()

    def log_likelihood(self, embedding: Tensor) -> Tensor:
        """Return (N, P): how likely each enrolled person's next picture is this one, up to a constant per picture."""
        x = (embedding - self.mean) @ self.projection
        precision = 1 / self.spread
        square = x.square() @ precision.T - 2 * x @ (self.center * precision).T
        return -0.5 * (square + (self.center.square() * precision + self.spread.log()).sum(1))


def fit(embedding: Tensor, person: Tensor, people: int, *, shrinkage: float = SHRINKAGE) -> Plda:
    """Fit the model by moments, and enroll the same people.

    Args:
        embedding: (M, D) float32, unit norm, M > P.
        person: (M,) int64 in [0, P), who is on each; everybody at least once.
        people: P, at least 2.
        shrinkage: share of the mean variance in the within-person covariance, in [0, 1].
    """
    count = torch.bincount(person, minlength=people).to(embedding)
    mean = embedding.mean(0)
    center = torch.zeros(people, embedding.shape[1]).to(embedding).index_add_(0, person, embedding) / count[:, None]
    rest = embedding - center[person]
    within = rest.T @ rest / (len(embedding) - people)
    dimension = len(within)
    variance = within.trace().clamp_min(FLOOR) / dimension
    within = (1 - shrinkage) * within + shrinkage * variance * torch.eye(dimension).to(embedding)
    whitening = torch.linalg.inv(torch.linalg.cholesky(within)).T
    white = (center - mean) @ whitening
    # What the means of n pictures vary by beyond 1/n, their variance had they all been of one person.
    between, axes = torch.linalg.eigh(white.T @ white / (people - 1))
    between = between - (1 / count).mean()
    telling = between > 0
    between, axes = between[telling], axes[:, telling]
    known = between * count[:, None] / (between * count[:, None] + 1)
    return Plda(mean, whitening @ axes, between, (white @ axes) * known, 1 + between * (1 - known))
