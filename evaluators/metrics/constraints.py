"""Constraints: bounds of metrics that a configuration must keep to be worth anything, whatever its objectives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.metrics import METRICS
from evaluators.options import expected_one_of

WRITTEN = re.compile(r"\s*(\w+)\s*(>=|<=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """State a bound that a metric must keep.

    Attributes:
        metric: of METRICS.
        relation: ">=" or "<="; the bound itself keeps it.
        bound: in the metric's unit.
    """

    metric: str
    relation: str
    bound: float

    def __str__(self) -> str:
        """Write it as it is given, e.g. detection_rate >= 0.9."""
        return f"{self.metric} {self.relation} {self.bound:g}"

    def violation(self, value: float) -> float:
        """Return how far a value is beyond the bound: more than 0 where it breaks it, in shares of the metric's range.

        Where the range is not bounded, in the metric's unit.
        """
        fact = METRICS[self.metric]
        size = 1.0 if fact.low is None or fact.high is None else fact.high - fact.low
        return (self.bound - value if self.relation == ">=" else value - self.bound) / size


def constraint_of(text: str) -> Constraint:
    """Read a constraint, e.g. "detection_rate >= 0.9".

    Raises:
        ValueError: if it is none, or no metric has the name; the sentence says which is the nearest.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f'--constraint: expected "METRIC >= BOUND" or "METRIC <= BOUND", got {text!r}')
    metric, relation, bound = found.groups()
    if metric not in METRICS:
        raise ValueError(expected_one_of("--constraint", tuple(METRICS), metric))
    try:
        value = float(bound)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"--constraint {metric}: expected a number as its bound, got {bound!r}")
    fact = METRICS[metric]
    all_keep = (
        fact.low is not None
        and fact.high is not None
        and (value <= fact.low if relation == ">=" else value >= fact.high)
    )
    none_keeps = (fact.high is not None and relation == ">=" and value > fact.high) or (
        fact.low is not None and relation == "<=" and value < fact.low
    )
    if all_keep or none_keeps:
        raise ValueError(
            f"--constraint {metric} {relation} {bound}: expected a bound within its range of {fact.low:g} to "
            f"{fact.high:g}, {'every' if all_keep else 'no'} configuration keeps this one"
        )
    return Constraint(metric, relation, value)


def constraints_of(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read several constraints.

    Raises:
        ValueError: if one is none, or two bound a metric from the same side.
    """
    found = tuple(map(constraint_of, texts))
    sides = [(one.metric, one.relation) for one in found]
    if doubled := [side for side in sides if sides.count(side) > 1]:
        raise ValueError(f"--constraint: expected one bound of {doubled[0][0]} {doubled[0][1]}, got several")
    return found


def is_feasible(row: Mapping[str, Any], constraints: Sequence[Constraint]) -> bool:
    """Tell whether a row, whose metrics are measured, keeps all constraints."""
    return all(one.violation(row[one.metric]) <= 0 for one in constraints)
