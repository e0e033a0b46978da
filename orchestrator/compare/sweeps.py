"""Several sweeps on the same faces: their fronts, hypervolumes, and what the one attains that the other does not.

All sweeps of one protocol share the draws of people of their replicates, so that the interval of a difference between
two sweeps is that of its replicates, as it is between two configurations.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from evaluators.metrics.statistics import percentile_interval
from evaluators.options import first_difference
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import LEDGER, check_results
from orchestrator.records.front import eligible, front_rows, hypervolume, objective_values, worst_and_best
from orchestrator.records.ledger import read
from orchestrator.records.tables import objective_replicates
from orchestrator.records.trials import Row, trial_rows
from orchestrator.records.wording import ANCHORS

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Swept:
    """Hold what a comparison needs of one sweep.

    Attributes:
        label: how it is called here, each sweep otherwise.
        facts: of the sweep.
        front: flat rows of its front, anchors among them, best first by the first objective.
        replicates: (n, m, R) float32, of the rows of the front.
    """

    label: str
    facts: Mapping[str, Any]
    front: list[Row]
    replicates: NDArray[np.float32]

    @property
    def objectives(self) -> dict[str, str]:
        """Return metric name -> "min" or "max"."""
        return dict(self.facts["objectives"])

    @property
    def values(self) -> NDArray[np.float64]:
        """Return the objectives of the front, (n, m)."""
        return objective_values(self.front, self.objectives)


def read_sweeps(folders: Sequence[Path]) -> list[Swept]:
    """Read the sweeps of several results folders.

    Raises:
        ValueError: if a folder has no ledger or no front, is named twice, or its sweep was on other faces, has other
            objectives or another number of replicates than the first one's.
    """
    resolved = [folder.resolve() for folder in folders]
    if twice := next((folder for n, folder in enumerate(folders) if resolved[n] in resolved[:n]), None):
        raise ValueError(f"RESULTS: expected different folders, got {twice} twice; name each once")
    names = [folder.name for folder in resolved]
    sweeps = []
    for folder, name in zip(folders, names, strict=True):
        check_results(folder, LEDGER)
        sweeps.append(_read(folder, name if names.count(name) == 1 else str(folder)))
    first = sweeps[0]
    for other in sweeps[1:]:
        _check_alike(first, other)
    return sweeps


def _read(folder: Path, label: str) -> Swept:
    table = read(folder / LEDGER)
    facts = sweep_of(table)
    objectives: dict[str, str] = facts["objectives"]
    front = front_rows(trial_rows(table), objectives)
    if not front:
        raise ValueError(
            f"RESULTS: expected a complete trial in every sweep, {folder} has none; search --resume goes on with it"
        )
    trials = [row["trial"] for row in front]
    drawn = table.filter((pc.field("status") == "complete") & pc.field("trial").isin(trials)).sort_by("trial")
    place = {trial: n for n, trial in enumerate(drawn.column("trial").to_pylist())}
    replicates = objective_replicates(drawn, objectives)[[place[trial] for trial in trials]]
    return Swept(label, facts, front, replicates)


def _check_alike(first: Swept, other: Swept) -> None:
    """Refuse a sweep that does not compare with the first."""
    digests = [one.facts["protocol"]["digest"] for one in (first, other)]
    if digests[0] != digests[1]:
        what, before, now = first_difference(first.facts["protocol"], other.facts["protocol"], "") or ("digest", "", "")
        raise ValueError(
            f"RESULTS: expected sweeps on the same faces, split alike; {other.label} was on others than {first.label} "
            f"({what}: {now}, not {before}); compare sweeps of the same --data and --seed"
        )
    if first.objectives != other.objectives:
        raise ValueError(
            f"RESULTS: expected sweeps of the same objectives, {other.label} has {', '.join(other.objectives)} and "
            f"{first.label} {', '.join(first.objectives)}; compare sweeps of the same --objective"
        )
    counts = [one.replicates.shape[2] for one in (first, other)]
    if counts[0] != counts[1]:
        raise ValueError(
            f"RESULTS: expected as many replicates in every ledger, {other.label} has {counts[1]} and {first.label} "
            f"{counts[0]}; compare sweeps of one version of the program"
        )


def unlike(sweeps: Sequence[Swept]) -> list[str]:
    """Say in what, other than their faces, the sweeps were measured otherwise than the first, a sentence each."""
    said = []
    meaning = {
        "attackers": "against fewer of them privacy seems greater",
        "publish": "what is done to released pictures helps or hinders whoever sees them",
        "models": "other networks recognize and read otherwise",
        "code": "the measuring code is another",
    }
    first = sweeps[0]
    for other in sweeps[1:]:
        for name, why in meaning.items():
            if found := first_difference(first.facts.get(name), other.facts.get(name), name):
                what, before, now = found
                said.append(f"{other.label} differs from {first.label} in {what} ({now}, not {before}): {why}")
    return said


def volume(sweep: Swept, values: NDArray[Any]) -> float:
    """Measure the hypervolume of points in the objectives of a sweep."""
    return hypervolume(values, list(sweep.objectives.values()), *worst_and_best(sweep.objectives))


def drawn_volumes(sweep: Swept, replicates: NDArray[Any]) -> NDArray[np.float64]:
    """Measure the hypervolume of the same points in every replicate.

    Args:
        sweep: whose objectives they are.
        replicates: (n, m, R) floats.

    Returns:
        (R,) float64.
    """
    return np.array([volume(sweep, draw) for draw in np.moveaxis(replicates, 2, 0)])


def hypervolumes(sweeps: Sequence[Swept]) -> list[Facts]:
    """Measure the hypervolume of every front, with its 95 % interval over people.

    The interval is that of the configurations on the front. Which these are was chosen on the same people, so that the
    figure is optimistic, that of a sweep with more trials more so: `verify` measures a front on others.

    Returns:
        For each sweep `label`, `trials` on its front, anchors aside, `hypervolume`, `low`, `high`.
    """
    return [
        {
            "label": sweep.label,
            "trials": sum(row["method"] not in ANCHORS for row in sweep.front),
            "hypervolume": volume(sweep, sweep.values),
            **_interval(drawn_volumes(sweep, sweep.replicates), sweep),
        }
        for sweep in sweeps
    ]


def _interval(drawn: NDArray[np.float64], sweep: Swept) -> Facts:
    people = next(row["n_people"] for row in sweep.front)
    low, high = percentile_interval(torch.from_numpy(drawn), people)
    return {"low": low, "high": high}


def dominating(values: NDArray[Any], others: NDArray[Any], directions: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which points another set dominates: with one at least as good in every objective and better in one.

    Args:
        values: (n, m) floats, or (n, m, R).
        others: (k, m) floats, or (k, m, R).
        directions: m times "min" or "max".

    Returns:
        (n,) bool, or (n, R).

    Example:
        >>> dominating(np.array([[0.5, 0.5], [0.1, 0.2]]), np.array([[0.4, 0.5]]), ["min", "max"])
        array([ True, False])
    """
    sign = np.array([1.0 if way == "min" else -1.0 for way in directions])
    sign = sign.reshape(1, 1, -1, *[1] * (values.ndim - 2))
    gap = sign * (np.asarray(values)[:, None] - np.asarray(others)[None])  # above 0 where the other is better
    hit: NDArray[np.bool_] = ((gap >= 0).all(axis=2) & (gap > 0).any(axis=2)).any(axis=1)
    return hit


def attainment(sweeps: Sequence[Swept]) -> list[Facts]:
    """Say of each two sweeps what the one attains that the other does not, and how much of it the other dominates.

    Returns:
        For each ordered pair `label`, `other`, `dominated` and `of` (configurations of the first front, anchors aside,
        that a configuration of the second dominates; Zitzler and Thiele's coverage, IEEE TEC 1999), `alone`: the volume
        that the first front dominates and the second does not, `low`, `high` (its 95 % interval), `difference` of the
        two hypervolumes (first - second), `difference_low`, `difference_high`, and `larger`: the share of the
        replicates in which the first is larger.
    """
    drawn = [drawn_volumes(sweep, sweep.replicates) for sweep in sweeps]
    points = [volume(sweep, sweep.values) for sweep in sweeps]
    out = []
    for a, b in itertools.permutations(range(len(sweeps)), 2):
        one, other = sweeps[a], sweeps[b]
        own = [n for n, row in enumerate(one.front) if row["method"] not in ANCHORS]
        beaten = dominating(one.values[own], other.values, list(one.objectives.values()))
        both = drawn_volumes(one, np.concatenate([one.replicates, other.replicates]))
        gap = drawn[a] - drawn[b]
        ends = _interval(gap, one)
        out.append(
            {
                "label": one.label,
                "other": other.label,
                "dominated": int(beaten.sum()),
                "of": len(own),
                "alone": volume(one, np.concatenate([one.values, other.values])) - points[b],
                **_interval(both - drawn[b], one),
                "difference": points[a] - points[b],
                "difference_low": ends["low"],
                "difference_high": ends["high"],
                "larger": float((gap > 0).mean()),
            }
        )
    return out


def side_by_side(sweeps: Sequence[Swept]) -> list[Facts]:
    """List the configurations of all fronts, anchors aside, best first by the first objective.

    Returns:
        `label`, `row` (flat), and `by`: label of another sweep -> the share of the replicates in which a configuration
        of its front dominates this one, where it does so as measured.
    """
    out: list[Facts] = []
    directions = list(sweeps[0].objectives.values())
    for sweep in sweeps:
        by: list[dict[str, float]] = [{} for _ in sweep.front]
        for other in sweeps:
            if other is sweep:
                continue
            beaten = dominating(sweep.values, other.values, directions)
            for n in np.flatnonzero(beaten):
                share = dominating(sweep.replicates[n : n + 1], other.replicates, directions).mean()
                by[n][other.label] = float(share)
        out += [
            {"label": sweep.label, "row": row, "by": shares}
            for row, shares in zip(sweep.front, by, strict=True)
            if row["method"] not in ANCHORS and eligible(row, sweep.objectives)
        ]
    way = 1 if directions[0] == "min" else -1
    return sorted(out, key=lambda one: way * one["row"][next(iter(sweeps[0].objectives))])


def attained(sweeps: Sequence[Swept]) -> list[Facts]:
    """Compute the empirical attainment of sweeps of one name: what one of them attains, half of them, and all.

    Of stochastic searches that were repeated, Grunert da Fonseca, Fonseca and Hall, EMO 2001
    (https://doi.org/10.1007/3-540-44719-9_15), computed by moocore.

    Returns:
        For each name with at least two sweeps and each level `name`, `sweeps`, `level` ("best", "median", "worst"),
        `points` ((k, m) floats, the surface) and `hypervolume`.
    """
    out = []
    for name in dict.fromkeys(sweep.facts["name"] for sweep in sweeps):
        own = [sweep for sweep in sweeps if sweep.facts["name"] == name]
        if len(own) < 2:
            continue
        sign = np.array([1.0 if way == "min" else -1.0 for way in own[0].objectives.values()])
        points = np.concatenate([sweep.values for sweep in own]) * sign
        sets = np.concatenate([np.full(len(sweep.front), n) for n, sweep in enumerate(own)])
        for level, share in {"best": 100 / len(own), "median": 50, "worst": 100}.items():
            surface = np.asarray(moocore.eaf(points, sets, percentiles=[share]))[:, :-1] * sign + 0.0
            out.append(
                {
                    "name": name,
                    "sweeps": len(own),
                    "level": level,
                    "points": surface,
                    "hypervolume": volume(own[0], surface),
                }
            )
    return out
