"""The front: pure functions from values and directions to masks, volumes and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from evaluators.metrics import METRICS
from orchestrator.records.trials import FEASIBLE, Row

BLOCK = 64
"""Replicates that are brought into order at a time."""


def front_mask(values: NDArray[np.floating[Any]], directions: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which points nothing dominates.

    A point dominates another if it is at least as good in every objective and better in one (Pareto dominance). Equal
    points do not dominate each other: two configurations that measure the same are both on the front or both off it.

    Args:
        values: (n, m) floats, one column per objective, in its own unit.
        directions: m times "min" or "max".

    Returns:
        (n,) bool.

    Raises:
        ValueError: if a direction is unknown, the shapes disagree, or a value is not finite.

    Example:
        >>> front_mask(np.array([[0.1, 0.2], [0.5, 0.9], [0.6, 0.8]]), ["min", "max"])
        array([ True,  True, False])
    """
    cost = _cost(values, directions)
    if not len(cost):
        return np.zeros(0, dtype=bool)
    mask: NDArray[np.bool_] = np.asarray(moocore.is_nondominated(cost, keep_weakly=True), dtype=bool)
    return mask


def hypervolume(
    values: NDArray[np.floating[Any]],
    directions: Sequence[str],
    worst: Sequence[float],
    best: Sequence[float] | None = None,
) -> float:
    """Measure the volume that a set of points dominates, up to a fixed worst point.

    The measure is that of Zitzler and Thiele (PPSN 1998), computed by moocore
    (https://multi-objective.github.io/moocore/python). A point that is worse than `worst` in an objective adds nothing.

    Args:
        values: (n, m) floats, one column per objective; n may be 0.
        directions: m times "min" or "max".
        worst: m floats, the reference point; fixed, so that two sweeps compare.
        best: m floats, the ideal point; None where a range is unbounded.

    Returns:
        The volume: as a share of the box between `worst` and `best`, in [0, 1], or in the product of the objectives'
        units if `best` is None.

    Raises:
        ValueError: if a direction is unknown, the shapes disagree, a value is not finite, or `best` is not better
            than `worst`.

    Example:
        >>> hypervolume(np.array([[0.5, 0.5]]), ["min", "max"], worst=[1, 0], best=[0, 1])
        0.25
    """
    cost = _cost(values, directions)
    reference = _cost(np.asarray([worst], dtype=np.float64), directions)[0]
    # moocore refuses a point on the wrong side of the reference only by adding nothing, which is what is wanted here.
    volume = float(moocore.hypervolume(cost, ref=reference)) if len(cost) else 0.0
    if best is None:
        return volume
    sides = reference - _cost(np.asarray([best], dtype=np.float64), directions)[0]
    if not (sides > 0).all():
        raise ValueError(f"hypervolume: expected best better than worst in every objective, got {best} and {worst}")
    return volume / float(sides.prod())


def front_probability(replicates: NDArray[np.floating[Any]], directions: Sequence[str]) -> NDArray[np.float64]:
    """Measure how often each point is on the front when the people are drawn anew.

    Replicate r holds all objectives of all points for one draw of people, the same for every point, so that whatever
    all configurations share moves together and cancels.

    Args:
        replicates: (n, m, R) floats: points, objectives, bootstrap replicates.
        directions: m times "min" or "max".

    Returns:
        (n,) float64 in [0, 1]: share of the replicates in which nothing dominates the point.

    Raises:
        ValueError: if a direction is unknown, the shapes disagree, a value is not finite, or there are no replicates.
    """
    replicates = np.asarray(replicates)
    if replicates.ndim != 3 or replicates.shape[2] == 0:
        raise ValueError(f"front_probability: expected (n, m, R) with R of at least 1, got {replicates.shape}")
    hits = np.zeros(replicates.shape[0], dtype=np.int64)
    # One O(n log n) sweep in C per replicate beats comparing all n² pairs in numpy, and needs no (n, n, R) memory.
    for first in range(0, replicates.shape[2], BLOCK):  # a copy of all replicates would take as much memory again
        block = replicates[:, :, first : first + BLOCK].transpose(2, 0, 1)
        for draw in np.ascontiguousarray(block, dtype=np.float64):
            hits += front_mask(draw, directions)
    share: NDArray[np.float64] = hits / replicates.shape[2]
    return share


def step_area(rank1: Sequence[float], utility: Sequence[float]) -> float:
    """Compute the area under SEBA's curve of utility over recognition, of the configurations of one method.

    Todt, Hanisch and Strufe, SEBA, 2024 (https://arxiv.org/abs/2407.06648), as their program draws it: steps through
    the configurations by falling recognition rate, from a rate of 1, each step at the utility of its more private end.
    A method that cannot be made more private than its most private configuration gains nothing below that.

    Args:
        rank1: n rates in [0, 1], of the strongest attacker.
        utility: n values; below 0 they count as 0, as no use is the least there is.

    Returns:
        in [0, 1] for utilities up to 1; larger is better.

    Example:
        >>> step_area([0.5, 0.25], [0.8, 0.4])
        0.5
    """
    area, before = 0.0, 1.0
    for rate, use in sorted(zip(rank1, utility, strict=True), key=lambda point: (-point[0], -point[1])):
        area += (before - rate) * max(0.0, use)
        before = rate
    return area


def seba_areas(rows: Sequence[Mapping[str, Any]], utility: str = "expression_kappa_adapted") -> dict[str, float]:
    """Compute the area under SEBA's step curve of every method, over `rank1_worst`.

    Args:
        rows: flat rows; those that are not complete, or lack one of the two metrics, stay out.
        utility: metric of the other axis, higher is better.

    Returns:
        method -> area, in the order of the rows.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["status"] == "complete" and row.get("rank1_worst") is not None and row.get(utility) is not None:
            points.setdefault(row["method"], []).append((row["rank1_worst"], row[utility]))
    return {method: step_area(*zip(*found, strict=True)) for method, found in points.items()}


def eligible(row: Mapping[str, Any], objectives: Mapping[str, str]) -> bool:
    """Tell whether a row may be on the front: complete, with every objective measured, and no constraint broken.

    A stopped trial was measured on less than the others, so that its values do not compare.
    """
    measured = row["status"] == "complete" and all(row[name] is not None for name in objectives)
    return measured and row.get(FEASIBLE) is not False


def objective_values(rows: Sequence[Mapping[str, Any]], objectives: Mapping[str, str]) -> NDArray[np.float64]:
    """Collect the objectives of rows that are `eligible`.

    Returns:
        (n, m) float64, in the order of `rows` and `objectives`.
    """
    return np.array([[row[name] for name in objectives] for row in rows], dtype=np.float64).reshape(-1, len(objectives))


def front_rows(rows: Sequence[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Select the rows on the front, best first by the first objective (ties by the others, then by trial).

    Failed and stopped rows and rows with an objective of None are never on it; anchors may be. A configuration that was
    proposed again stands on it once, by its first trial.

    Args:
        rows: flat rows, as the trials table has them.
        objectives: metric name -> "min" or "max".

    Returns:
        The very rows, not copies.
    """
    candidates = [row for row in rows if eligible(row, objectives)]
    values = objective_values(candidates, objectives)
    mask = front_mask(values, list(objectives.values()))
    cost = _cost(values, list(objectives.values()))
    order = sorted(np.flatnonzero(mask), key=lambda i: (*cost[i], candidates[i]["trial"]))
    first: dict[Any, Row] = {}
    for i in order:
        first.setdefault(candidates[i].get("anonymizer", i), candidates[i])
    return list(first.values())


def front_hypervolume(rows: Sequence[Mapping[str, Any]], objectives: Mapping[str, str]) -> float:
    """Measure the hypervolume of a sweep against the fixed worst point of METRICS.

    Returns:
        A share in [0, 1] if the range of every objective is bounded, else the volume in their units; 0 if no row is
        eligible.
    """
    values = objective_values([row for row in rows if eligible(row, objectives)], objectives)
    return hypervolume(values, list(objectives.values()), *worst_and_best(objectives))


class FrontSoFar:
    """Keep the front of points that come one by one, and its hypervolume.

    A point costs what the front is large, not how many points there were.

    Attributes:
        size: number of points on the front, equal ones counted each.
        hypervolume: as `hypervolume` measures it up to the corners of METRICS.
    """

    def __init__(self, objectives: Mapping[str, str]) -> None:
        """Begin without a point.

        Args:
            objectives: metric name -> "min" or "max".
        """
        self._objectives = dict(objectives)
        self._values = np.zeros((0, len(objectives)))
        self.hypervolume = 0.0

    @property
    def size(self) -> int:
        """Return the number of points on the front."""
        return len(self._values)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take the objectives of a row, all of which are measured."""
        directions = list(self._objectives.values())
        values = np.vstack((self._values, objective_values([row], self._objectives)))
        cost = _cost(values, directions)
        if (cost[:-1] <= cost[-1]).all(1).any() and not (cost[:-1] == cost[-1]).all(1).any():
            return
        self._values = values[front_mask(values, directions)]
        self.hypervolume = hypervolume(self._values, directions, *worst_and_best(self._objectives))


def worst_and_best(objectives: Mapping[str, str]) -> tuple[list[float], list[float] | None]:
    """Return the corners that METRICS fixes for the hypervolume; no best one if a range is unbounded."""
    facts = [METRICS[name] for name in objectives]
    ends = [fact.low if way == "min" else fact.high for fact, way in zip(facts, objectives.values(), strict=True)]
    best = [end for end in ends if end is not None]
    return [fact.worst for fact in facts], best if len(best) == len(ends) else None


def _cost(values: NDArray[np.floating[Any]], directions: Sequence[str]) -> NDArray[np.float64]:
    """Return a copy of (n, m) values in which smaller is better in every column."""
    values = np.asarray(values)
    if unknown := set(directions) - {"min", "max"}:
        raise ValueError(f"front: expected directions min or max, got {sorted(unknown)}")
    if values.ndim != 2 or values.shape[1] != len(directions) or not directions:
        raise ValueError(f"front: expected values (n, {len(directions)}), one column per direction, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("front: expected finite values, got NaN or infinity; leave rows out that were not measured")
    # + 0.0 turns -0.0 into 0.0.
    cost: NDArray[np.float64] = values * np.array([1.0 if way == "min" else -1.0 for way in directions]) + 0.0
    return cost
