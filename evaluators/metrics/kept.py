"""Kept: the share of what readers find in clear faces that they still find in released ones, and its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluators.metrics.statistics import united

NEAR = 0.5
"""A kappa or a share from here on is nearer to 1 than to 0, and may have too few wrong answers to draw from."""
Interval = tuple[float, float]
IntervalOf = Callable[[Tensor], Interval]


@dataclass(frozen=True, eq=False)
class Measured:
    """Hold what a reader reaches.

    Attributes:
        value: kappa, or explained variance.
        draws: (R,) float64 replicates over people.
        interval: its ends.
        right: (N,) float64, of kappa: 1 where the reader agrees with the judge; None of explained variance.
        chance: of kappa: agreement by chance, in [0, 1).
    """

    value: float
    draws: Tensor
    interval: Interval
    right: Tensor | None = None
    chance: float = 0.0


@dataclass(frozen=True, eq=False)
class Share:
    """Hold a share that is kept: value, (R,) float64 replicates, and ends of its interval."""

    value: float
    draws: Tensor
    interval: Interval


def share_kept(readers: Iterable[tuple[Measured, Measured]], percentiles: IntervalOf, wilson: IntervalOf) -> Share:
    """Return the smallest share that a reader keeps of what he reads of clear faces, paired on the same drawn people.

    Args:
        readers: what each reads of the anonymized and of the clear faces; the very same where these are.
        percentiles: interval of (R,) replicates.
        wilson: adjusted Wilson interval of (N,) values in [0, 1].
    """
    shares = []
    for now, clear in readers:
        value, draws = now.value / clear.value, now.draws / clear.draws
        interval = percentiles(draws)
        if now is not clear and value > NEAR and now.right is not None and clear.right is not None:
            low, high = changed_agreement(now.right, clear.right, wilson)
            scale = (1 - now.chance) * clear.value
            interval = united(interval, ((low - now.chance) / scale, (high - now.chance) / scale))
        shares.append(Share(value, draws, interval))
    return _smallest(shares, percentiles)


def smallest_share(shares: Sequence[Share], percentiles: IntervalOf) -> Share:
    """Return the smallest of the judges' shares, at most 1, the minimum taken in every replicate.

    Args:
        shares: one for each judge.
        percentiles: interval of (R,) replicates.
    """
    found = _smallest(shares, percentiles)
    low, high = (min(1.0, end) for end in found.interval)
    return Share(min(1.0, found.value), found.draws.clamp_max(1.0), (low, high))


def _smallest(shares: Sequence[Share], percentiles: IntervalOf) -> Share:
    """Take the smallest share: the interval of its replicates, united with that of the one that is smallest.

    The least of several noisy shares lies below the least true one where they are close, and the least in each
    replicate lies lower still: replicates alone would end too low.
    """
    least = min(shares, key=lambda share: share.value)
    draws = torch.stack([share.draws for share in shares]).amin(0)
    return Share(least.value, draws, united(percentiles(draws), least.interval))


def changed_agreement(now: Tensor, before: Tensor, wilson: IntervalOf) -> Interval:
    """Return an interval of the agreement now, where that before is given: of what was lost and gained since.

    Where hardly an answer has changed, replicates hardly vary. Shares of lost and gained answers have Wilson intervals
    of their own, combined by the squares of what each lacks to its ends (Zou and Donner, Construction of confidence
    limits about effect measures, Stat. Med. 2008, https://doi.org/10.1002/sim.3095).

    Args:
        now: (N,) float, 1 where an answer is right.
        before: (N,) float, likewise.
        wilson: interval of (N,) values in [0, 1].
    """
    lost, gained = (before * (1 - now)).double(), (now * (1 - before)).double()
    (lost_low, lost_high), (gained_low, gained_high) = wilson(lost), wilson(gained)
    below = ((float(gained.mean()) - gained_low) ** 2 + (lost_high - float(lost.mean())) ** 2) ** 0.5
    above = ((gained_high - float(gained.mean())) ** 2 + (float(lost.mean()) - lost_low) ** 2) ** 0.5
    agreement = float(now.double().mean())
    return agreement - below, agreement + above
