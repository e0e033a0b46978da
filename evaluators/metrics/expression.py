"""Expression: how well its reading on the anonymized face agrees with that on the original."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

COLDEST, HOTTEST = 0.05, 20.0
"""Range of a teacher's temperature: beyond it the answers are all but certain, or all but uniform."""
SMALLEST = torch.finfo(torch.float32).tiny
"""Least probability that a float32 softmax can give and still divide by; caps one picture's KL at 87.3 nats."""


def confusion_by_person(reference: Tensor, answer: Tensor, person: Tensor, people: int, classes: int) -> Tensor:
    """Count answers per person.

    Args:
        reference: (N,) int64 in [0, classes), what is right.
        answer: (N,) int64 in [0, classes).
        person: (N,) int64 in [0, people).
        people: P.
        classes: C.

    Returns:
        (P, C, C) float64, counts by person, reference and answer.
    """
    cell = (person * classes + reference) * classes + answer
    return torch.bincount(cell, minlength=people * classes**2).double().view(people, classes, classes)


def kappa(confusion: Tensor) -> Tensor:
    """Compute Cohen's kappa (A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 1960).

    Args:
        confusion: (..., C, C) float64 counts.

    Returns:
        (...) float64 in [-1, 1]; 0 where reference and answer are one and the same class throughout, since nothing
        beyond chance was shown there (the formula is 0 / 0).

    Raises:
        ValueError: if there are no answers.
    """
    return beyond_chance(agreement(confusion), chance_agreement(confusion))


def beyond_chance(observed: Tensor, expected: Tensor) -> Tensor:
    """Compute Cohen's kappa, see `kappa`, of (...) float64 agreements: the observed one, and that by chance."""
    # Counts are whole numbers, so an expected agreement of 1 is exact.
    undefined = expected >= 1
    return torch.where(undefined, 0.0, (observed - expected) / torch.where(undefined, 1.0, 1 - expected))


def kappa_replicates(confusion: Tensor, draws: Tensor) -> Tensor:
    """Compute kappa in every bootstrap replicate.

    Args:
        confusion: (P, C, C) float64 counts of `confusion_by_person`.
        draws: (R, P) float64 of `person_draws`, on the same device.

    Returns:
        (R,) float64 in [-1, 1].
    """
    people, classes, _ = confusion.shape
    return kappa((draws @ confusion.view(people, -1)).view(-1, classes, classes))


def agreement(confusion: Tensor) -> Tensor:
    """Compute the raw share of equal answers of (..., C, C) counts, to (...) in [0, 1].

    Raises:
        ValueError: if there are no answers.
    """
    return confusion.diagonal(dim1=-2, dim2=-1).sum(-1) / _total(confusion)


def chance_agreement(confusion: Tensor) -> Tensor:
    """Compute the agreement of independent answers with the same class shares, from (..., C, C) counts, in [0, 1].

    Raises:
        ValueError: if there are no answers.
    """
    return (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / _total(confusion).square()


def macro_f1(confusion: Tensor) -> Tensor:
    """Compute the mean F1 over the classes that occur in reference or answer.

    Args:
        confusion: (C, C) float64 counts.

    Returns:
        () float64 in [0, 1].

    Raises:
        ValueError: if there are no answers.
    """
    _total(confusion)
    hits, sums = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
    occurs = sums > 0
    return (2 * hits[occurs] / sums[occurs]).mean()


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Compute the divergence KL(p ‖ q) (Kullback and Leibler, Ann. Math. Stat. 1951).

    Args:
        p: (N, C) float, probabilities of the originals.
        q: (N, C) float, probabilities of the anonymized; one that is 0 counts as the smallest float32 number.

    Returns:
        (N,) float64 in nats, in [0, 87.4].
    """
    p, q = p.double(), q.double()
    # Rounded probabilities do not quite sum to 1, which may leave equal ones a hair below 0.
    terms: Tensor = torch.special.xlogy(p, p) - torch.special.xlogy(p, q.clamp_min(SMALLEST))
    return terms.sum(1).clamp_min(0)


def js(p: Tensor, q: Tensor) -> Tensor:
    """Compute the Jensen-Shannon divergence over ln 2 (Lin, IEEE Trans. Inf. Theory 1991).

    Args:
        p: (N, C) float, probabilities.
        q: (N, C) float, probabilities.

    Returns:
        (N,) float64 in [0, 1]; 1 for disjoint answers.
    """
    p, q = p.double(), q.double()
    middle = (p + q) / 2
    return ((kl(p, middle) + kl(q, middle)) / (2 * math.log(2))).clamp(0, 1)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Compute the cosine of the teacher's features.

    Args:
        a: (N, F) float, of the originals.
        b: (N, F) float, of the anonymized.

    Returns:
        (N,) float64 in [-1, 1]; 0 where a feature vector is 0.
    """
    cosine: Tensor = functional.cosine_similarity(a.double(), b.double(), dim=1)
    return cosine.clamp(-1, 1)


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Fit the temperature that calibrates a teacher (Guo et al., On calibration of modern neural networks, ICML 2017).

    The negative log-likelihood of softmax(β z) is convex in β = 1 / τ; its slope, the mean of
    E[z] - z_label, is bisected.

    Args:
        logits: (N, C) float.
        label: (N,) int64 in [0, C).

    Returns:
        τ in [0.05, 20] that minimizes the negative log-likelihood of softmax(logits / τ).

    Raises:
        ValueError: if there are no labels.
    """
    if len(label) == 0:
        raise ValueError("fit_temperature: expected labelled faces, got none; leave the temperature at 1")
    logits = logits.double()
    reached = logits.gather(1, label[:, None]).mean()
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        expected = ((logits * middle).softmax(1) * logits).sum(1).mean()
        low, high = (low, middle) if expected > reached else (middle, high)
    return 2 / (low + high)


def ece(probability: Tensor, label: Tensor, bins: int = 15) -> float:
    """Compute the expected calibration error (Guo et al., ICML 2017) over equal-width bins of the top-1 probability.

    Args:
        probability: (N, C) float.
        label: (N,) int64 in [0, C).
        bins: number of bins.

    Returns:
        Mean gap of confidence and accuracy, weighted by the pictures in a bin, in [0, 1].

    Raises:
        ValueError: if there are no labels.
    """
    if len(label) == 0:
        raise ValueError("ece: expected labelled faces, got none; leave the calibration error out")
    confidence, answer = probability.double().max(1)
    hit = (answer == label).double()
    at = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = confidence.new_zeros(bins).index_add_(0, at, confidence - hit)
    return float(gap.abs().sum() / len(label))


def _total(confusion: Tensor) -> Tensor:
    total = confusion.sum((-2, -1))
    if not (total > 0).all():
        raise ValueError(
            "expression: expected at least one answer in every table, got an empty one; leave out what nobody read"
        )
    return total
