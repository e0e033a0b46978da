"""Scores: what a panel says of one configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluators.metrics import METRICS

if TYPE_CHECKING:
    from evaluators.metrics.curves import Curves


FUSED, REDETECTED = "_fused", "_redetected"
"""What the names of rates end in: of who has all pictures of a person at once, and on faces that were found anew."""
Stretch = tuple[float, float | None, float | None]
"""Of replicates, where people share released pictures, see `statistics.stretch_of`: the factor, and the ends within
which what comes of it stays."""


@dataclass(frozen=True, eq=False)
class People:
    """Hold what people add to the figures of a configuration.

    Attributes:
        sums: name -> (P,) uint8, float16 or float32 sums, or (N,) uint8 answers, see
            `evaluators.measuring.by_person`.
        stretched: name -> factor and ends; of those alone whose replicates are spread.
    """

    sums: Mapping[str, NDArray[Any]]
    stretched: Mapping[str, Stretch]

    def attackers(self, fused: bool = False) -> list[str]:
        """Return whose rank-1 is here; `fused`, of who has all pictures of a person at once."""
        known = (name.removeprefix("rank1_") for name in self.sums if name.startswith("rank1_"))
        rates = (name for name in known if not name.endswith(REDETECTED))
        return [name.removesuffix(FUSED) for name in rates if name.endswith(FUSED) == fused]


@dataclass(frozen=True, eq=False)
class Scores:
    """Hold every number of one trial.

    Attributes:
        values: one entry per name in METRICS; None where a quantity cannot be measured here, never NaN.
        intervals: 95 % intervals (low, high) of those that have one.
        replicates: (R,) float32 bootstrap replicates over people, for the metrics that have them; the draws are the
            same for every configuration of a protocol, so that differences are paired.
        n_probe: number of probes, n_people: of enrolled people.
        n_gallery: number of their gallery pictures, which `retrained` learns them from.
        n_attacker: faces of other people that `mapped`, `restored`, `finetuned` and the adapted reader learn from.
        chance_rank1: 1 / n_people.
        seconds: time that the scoring took, s.
        told_by: whose answer about the expression the method was told; empty where it was told none.
        curves: CMC and ROC of each attacker, where a panel keeps them.
        details: what belongs to no column, ready for JSON, of a configuration that is measured to its end:
            `confusions`, judge -> reader -> C² counts, a row for each class that the judge says of the clear face;
            `groups`, attribute -> group of people -> its figures.
        people: what each person adds, from which replicates follow; None where it was not kept.
        stage: after which this was said, of a configuration that is not measured to its end; empty where it is. What a
            later stage adds is None then, and the rate of the strongest attacker that of the strongest so far.

    Raises:
        ValueError: if a name is unknown or missing, or a number is not finite.
    """

    values: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]]
    replicates: Mapping[str, NDArray[np.float32]]
    n_probe: int
    n_people: int
    n_gallery: int
    n_attacker: int
    chance_rank1: float
    seconds: float
    told_by: str = ""
    curves: Mapping[str, Curves] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    people: People | None = None
    stage: str = ""

    def __post_init__(self) -> None:
        if set(self.values) != set(METRICS):
            missing, unknown = set(METRICS) - set(self.values), set(self.values) - set(METRICS)
            raise ValueError(
                f"Scores: expected every metric of METRICS; missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        for name, value in self.values.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"Scores: {name} is {value}; a quantity that cannot be measured is None")
        for name, interval in self.intervals.items():
            if self.values[name] is None or not all(map(math.isfinite, interval)):
                raise ValueError(f"Scores: the interval of {name} is {interval} around {self.values[name]}")
        for name, draws in self.replicates.items():
            if not np.isfinite(draws).all():
                raise ValueError(f"Scores: {name} has replicates that are not finite")

    def __getitem__(self, name: str) -> float:
        """Return a measured value.

        Raises:
            KeyError: if the metric is unknown or could not be measured here.
        """
        value = self.values[name]
        if value is None:
            raise KeyError(f"{name} cannot be measured with this protocol and these networks")
        return value
