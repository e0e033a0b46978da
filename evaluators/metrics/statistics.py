"""Intervals: people are the unit, all pictures of a drawn person move together.

Where a method releases one picture to several people, that picture is a second unit: the variances of both clusterings
are added and that of the joint one, people within pictures, is taken off (Cameron, Gelbach and Miller, Robust inference
with multiway clustering, J. Bus. Econ. Stat. 2011, https://doi.org/10.1198/jbes.2010.07136).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

LEVEL = 0.95
PRIOR = 0.5
"""People whose pictures are all alike, by whom an estimated design effect is drawn to its upper end."""


def person_draws(people: int, replicates: int = 2_000, seed: int = 0) -> Tensor:
    """Draw people with replacement: the same draws for the same arguments, so that configurations pair.

    Args:
        people: P.
        replicates: R.
        seed: of the draws.

    Returns:
        (R, P) float64, how often each person is drawn in each replicate; rows sum to P.
    """
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.multinomial(people, np.full(people, 1 / people), size=replicates)).double()


@dataclass(frozen=True, eq=False)
class Units:
    """Hold what is drawn.

    Attributes:
        index: (N,) int64 in [0, U), the unit of each picture.
        draws: (R, U) float64 of `person_draws`.
    """

    index: Tensor
    draws: Tensor


def second_units(person: Tensor, released: Tensor, replicates: int) -> tuple[Units, Units] | None:
    """Return released pictures as units, and people within them, for `stretch_of`.

    Args:
        person: (N,) int64.
        released: (N,) int64, equal where two faces got the same released picture.
        replicates: R.

    Returns:
        None with fewer than two released pictures, between which nothing can be seen to vary, and where nobody shares
        one with anybody else.
    """
    crossed = _crossed(person, released)
    if crossed is None:
        return None
    picture, joint = (
        Units(index, person_draws(int(index.max()) + 1, replicates, seed)) for seed, index in enumerate(crossed, 1)
    )
    return picture, joint


def _crossed(person: Tensor, released: Tensor) -> tuple[Tensor, Tensor] | None:
    """Number (N,) released pictures, and people within them; None where these are no second unit."""
    _, picture = released.unique(return_inverse=True)
    _, joint = torch.stack((picture, person)).unique(dim=1, return_inverse=True)
    count = int(picture.max()) + 1
    return None if count < 2 or int(joint.max()) + 1 == count else (picture, joint)


def stretch_of(replicates: Tensor, compute: Callable[[Units], Tensor], second: tuple[Units, Units] | None) -> float:
    """Return by how much a figure's replicates over people are to be spread, as both clusterings ask.

    Args:
        replicates: (R,) of the figure over people, whose draws pair configurations.
        compute: the figure's (R,) replicates over other units.
        second: of `second_units`; None where every face has a released picture of its own.

    Returns:
        At least 1: never narrower than those over people alone.
    """
    if second is None:
        return 1.0
    own, pictures, joint = (float(found.var()) for found in (replicates, *map(compute, second)))
    return max(1.0, (own + pictures - joint) / own) ** 0.5 if own > 0 else 1.0


def stretched(replicates: Tensor, stretch: float) -> Tensor:
    """Spread (R,) replicates about their mean; a factor of 1 leaves them as they are."""
    if stretch == 1.0:
        return replicates
    spread: Tensor = replicates.mean() + stretch * (replicates - replicates.mean())
    return spread


def sums_by(value: Tensor, unit: Tensor, units: int) -> Tensor:
    """Sum (N,) values over each of U units, (N,) int64; returns (U,) float64."""
    return value.new_zeros(units, dtype=torch.float64).index_add_(0, unit, value.double())


def mean_of_sums(sums: Tensor, pictures: Tensor, draws: Tensor) -> Tensor:
    """Compute the mean over pictures in every replicate, of what each person's sum to.

    Args:
        sums: (P,) float64, of each person's pictures.
        pictures: (P,) how many these are.
        draws: (R, P) float64 of `person_draws`, on the same device.

    Returns:
        (R,) float64.

    Raises:
        ValueError: if a replicate draws nobody who has a picture here.
    """
    people = draws.shape[1]
    total = draws @ pictures.double()
    if not (total > 0).all():
        raise ValueError(
            f"mean_of_sums: expected pictures in every replicate, got {int((total == 0).sum())} of {len(draws)} "
            f"without one; {int((pictures > 0).sum())} of {people} people have pictures, too few for an interval"
        )
    return (draws @ sums) / total


def percentile_interval(replicates: Tensor, people: int | None = None, level: float = LEVEL) -> tuple[float, float]:
    """Compute the percentile bootstrap interval (Efron and Tibshirani, An introduction to the bootstrap, 1993).

    With the number of people, its ends are moved out as Student's t and the factor P / (P - 1) of a variance ask, since
    replicates of few people vary too little: Hesterberg's expanded percentile interval (The American Statistician 2015,
    https://doi.org/10.1080/00031305.2015.1089789).

    Args:
        replicates: (R,) float.
        people: drawn from, more than one; None for the plain percentiles.
        level: coverage in (0, 1).

    Returns:
        (low, high).
    """
    tail = (1 - level) / 2
    if people is not None:
        quantile = float(stdtrit(people - 1, 1 - tail)) * (people / (people - 1)) ** 0.5
        tail = NormalDist().cdf(-quantile)
    ends = replicates.new_tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = torch.quantile(replicates.double(), ends).tolist()
    return low, high


def wilson_interval(
    value: Tensor, person: Tensor, level: float = LEVEL, released: Tensor | None = None
) -> tuple[float, float]:
    """Compute the Wilson interval of a rate, its variance adjusted for dependence within a person.

    Wilson's interval with N / d observations, d the design effect v N / (p (1 - p)), v the cluster-robust variance
    of the mean over people, after Fogliato, Patil and Perona, Confidence intervals for error rates in 1:1 matching
    tasks, 2023 (https://arxiv.org/abs/2306.01198). Three things differ from the paper, each for the sake of
    coverage with few people: v has the factor P / (P - 1); d, which lies between 1 and sum n_i^2 / N for n_i
    pictures per person (as many as there are pictures per person, when all have equally many), is drawn to that
    upper end by half a person, since with few people on the rarer side of the rate it is hardly known; and the
    quantile is that of Student's t with P - 1 degrees of freedom. At rates of 0 and 1 nothing is known of d, so
    that the upper end is taken, where the paper takes 1: the rule of three then holds for people. With one picture
    per person this is Wilson's interval.

    Where people share released pictures, v is that of both clusterings, never below that of people alone, and the
    degrees of freedom are those of the clustering with fewer units.

    In simulations (`python -m benchmarks.coverage`) 95 % intervals cover 93 to 97 %, and up to 99 % where at most a
    few people are on the rarer side, or 20 people have many independent pictures. Credits shared among ties vary
    less than a coin does, and the interval is on the wide side for them.

    Args:
        value: (N,) float in [0, 1], N at least 1.
        person: (N,) int64, who is on each picture.
        level: coverage in (0, 1).
        released: (N,) int64, equal where two faces got the same released picture; None where nobody shares any.

    Returns:
        (low, high) in [0, 1], low < high.
    """
    count = len(value)
    rate = float(value.double().mean())
    pictures = torch.bincount(person).double()
    people = int((pictures > 0).sum())
    most = float(pictures.square().sum()) / count
    crossed = None if released is None else _crossed(person, released)
    effect, quantile = most, NormalDist().inv_cdf((1 + level) / 2)
    if people > 1 and 0 < rate < 1 and (most > 1 or crossed is not None):
        variance, known, units = clustered_variance(value, person)
        limit = most
        if crossed is not None:
            by_picture, seen, images = clustered_variance(value, crossed[0])
            within, _, _ = clustered_variance(value, crossed[1])
            variance, known, units = max(variance, variance + by_picture - within), min(known, seen), min(units, images)
            limit = most + float(torch.bincount(crossed[0]).double().square().sum()) / count
        effect = min(limit, max(1.0, variance * count / (rate * (1 - rate))))
        effect = (known * effect + PRIOR * max(most, effect)) / (known + PRIOR)
        quantile = float(stdtrit(units - 1, (1 + level) / 2))
    return wilson_bounds(rate, count / effect, quantile)


def clustered_variance(value: Tensor, unit: Tensor) -> tuple[float, int, int]:
    """Estimate the variance of a mean over units that vary as wholes.

    Args:
        value: (N,) float in [0, 1].
        unit: (N,) int64, at least two different ones.

    Returns:
        the variance with the factor U / (U - 1), the number of units on the rarer side, and U.
    """
    count = torch.bincount(unit).double()
    sums = torch.zeros_like(count).index_add_(0, unit, value.double())
    units = int((count > 0).sum())
    rest = sums - float(value.double().mean()) * count
    variance = float(rest.square().sum()) / len(value) ** 2 * units / max(1, units - 1)
    return variance, min(int((sums > 0).sum()), int((sums < count).sum())), units


def united(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the interval from the lower of two low ends to the higher of the high ones."""
    return min(one[0], other[0]), max(one[1], other[1])


def wilson_bounds(rate: float, observations: float, quantile: float) -> tuple[float, float]:
    """Compute Wilson's bounds (J. Am. Stat. Assoc. 1927) of a rate seen in so many independent observations.

    Args:
        rate: in [0, 1].
        observations: above 0.
        quantile: of the standard normal or a wider distribution, at (1 + level) / 2.
    """
    z, n = quantile, observations
    spread = z * (rate * (1 - rate) / n + z**2 / (4 * n**2)) ** 0.5
    center, scale = rate + z**2 / (2 * n), 1 + z**2 / n
    # At 0 and 1 the near end is the rate itself; said outright, since rounding might put it a hair inside.
    low = 0.0 if rate == 0 else max(0.0, (center - spread) / scale)
    high = 1.0 if rate == 1 else min(1.0, (center + spread) / scale)
    return low, high
