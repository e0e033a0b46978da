"""Agreement: pure functions from answers to agreement between people, sensitivity, and rank correlations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import rankdata

from evaluators.metrics.statistics import LEVEL

Numbers = NDArray[np.floating[Any]]


def fleiss_kappa(counts: NDArray[Any]) -> float | None:
    """Compute Fleiss' kappa: how far people agree beyond what their use of the answers makes likely.

    Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 1971; where items have
    different numbers of answers, with each item's own number, as Gwet, Handbook of Inter-Rater Reliability, 2014, has
    it. Items with fewer than two answers say nothing of agreement and stay out.

    Args:
        counts: (items, answers), how many people gave each answer to each item.

    Returns:
        at most 1, 0 for agreement by chance; None if no item has two answers, or all are the same one.

    Example:
        >>> round(fleiss_kappa(np.array([[2, 0], [0, 2], [1, 1]])), 3)
        0.333
    """
    counts = np.asarray(counts, dtype=np.float64)
    n = counts.sum(axis=1)
    counts, n = counts[n > 1], n[n > 1]
    if not len(n):
        return None
    observed = float((((counts**2).sum(axis=1) - n) / (n * (n - 1))).mean())
    share = (counts / n[:, None]).mean(axis=0)
    chance = float((share**2).sum())
    return None if chance > 1 - 1e-12 else (observed - chance) / (1 - chance)


def sensitivity(hits: Any, same: Any, false_alarms: Any, different: Any) -> Any:
    """Compute d': how far apart same and different pairs look, free of a leaning towards either answer.

    Green and Swets, Signal detection theory and psychophysics, 1966, with half an answer added to each count and one to
    each number (Hautus, Behavior Research Methods 1995), so that it stays finite.

    Args:
        hits: same pairs that were called the same; a number or an array.
        same: same pairs.
        false_alarms: different pairs that were called the same.
        different: different pairs.

    Returns:
        d', 0 where they look alike.
    """
    return ndtri((hits + 0.5) / (same + 1)) - ndtri((false_alarms + 0.5) / (different + 1))


def sensitivity_error(hits: float, same: float, false_alarms: float, different: float) -> float:
    """Compute the standard error of d' of answers that are independent of each other.

    Gourevitch and Galanter, Psychometrika 1967, of the corrected shares.

    Args:
        hits, same, false_alarms, different: as in `sensitivity`.
    """
    variance = 0.0
    for called, of in ((hits, same), (false_alarms, different)):
        share = (called + 0.5) / (of + 1)
        height = np.exp(-(ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi)
        variance += share * (1 - share) / ((of + 1) * height**2)
    return float(np.sqrt(variance))


def jackknife(values: Callable[[NDArray[np.bool_]], float | None], people: int) -> tuple[float, float] | None:
    """Compute the jackknife interval of a statistic over people (Tukey 1958), with Student's t.

    A bootstrap would draw a person twice, who agrees with himself; leaving one out does not.

    Args:
        values: the statistic of the people in an (P,) mask.
        people: P.

    Returns:
        (low, high); None with fewer than three people, or where the statistic is not known without one of them.
    """
    if people < 3:
        return None
    whole = values(np.ones(people, dtype=bool))
    without = [values(np.arange(people) != out) for out in range(people)]
    if whole is None or any(value is None for value in without):
        return None
    drawn = np.array(without, dtype=np.float64)
    error = float(np.sqrt((people - 1) / people * ((drawn - drawn.mean()) ** 2).sum()))
    width = float(stdtrit(people - 1, (1 + LEVEL) / 2)) * error
    return whole - width, whole + width


def kendall(one: Numbers, other: Numbers) -> Numbers:
    """Compute Kendall's tau-b (Biometrika 1945) along the last axis.

    Args:
        one: (..., n) floats.
        other: (n,) floats.

    Returns:
        (...,) in [-1, 1]; NaN where either is constant.
    """
    first, second = np.triu_indices(len(other), 1)
    a = np.sign(one[..., first] - one[..., second])
    b = np.sign(other[first] - other[second])
    ties = np.sqrt((a != 0).sum(axis=-1) * float((b != 0).sum()))
    with np.errstate(invalid="ignore"):
        tau: Numbers = (a * b).sum(axis=-1) / np.where(ties > 0, ties, np.nan)
    return tau


def spearman(one: Numbers, other: Numbers) -> Numbers:
    """Compute Spearman's rho (1904) along the last axis, equal values with their mean rank.

    Args:
        one: (..., n) floats.
        other: (n,) floats.

    Returns:
        (...,) in [-1, 1]; NaN where either is constant.
    """
    a, b = rankdata(one, axis=-1), rankdata(other)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean()
    size = np.sqrt((a**2).sum(axis=-1) * (b**2).sum())
    rho: Numbers = (a * b).sum(axis=-1) / np.where(size > 0, size, np.nan)
    return rho


def counted(items: Sequence[Any], answers: Sequence[Any], known: Sequence[str]) -> NDArray[np.int64]:
    """Count the answers to each item.

    Returns:
        (different items, len(known)).
    """
    place = {item: n for n, item in enumerate(dict.fromkeys(items))}
    counts = np.zeros((len(place), len(known)), dtype=np.int64)
    for item, answer in zip(items, answers, strict=True):
        counts[place[item], list(known).index(answer)] += 1
    return counts
