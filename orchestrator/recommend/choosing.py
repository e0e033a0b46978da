"""Choosing: which configurations keep a bound with their whole interval, and which of these is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizers import TEMPLATE_SIZE
from evaluators.metrics import METRICS
from evaluators.options import expected_one_of
from orchestrator.recommend.recommendation import Recommendation
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import LEDGER, check_results
from orchestrator.records.ledger import read
from orchestrator.records.tables import read_table
from orchestrator.records.trials import Row, anonymizer_of, hyperparameters, trial_rows
from orchestrator.records.wording import name_of, with_interval

VERIFIED = "verified.parquet"
NO_METHODS = ("identity", "word")
"""Anchors that nobody wants to be applied: the clear face, and a square in a color."""


@dataclass(frozen=True)
class Found:
    """Hold what was chosen: its row, why, and of what.

    Attributes:
        row: flat, as measured.
        recommendation: what is written.
        bounds: metric -> bound.
        best: metric in which it is the best.
        kept, of: how many configurations keep the bounds, of how many.
        sweep: facts about the measurement.
        verified: whether a verification measured it.
    """

    row: Row
    recommendation: Recommendation
    bounds: Mapping[str, float]
    best: str
    kept: int
    of: int
    sweep: Mapping[str, Any]
    verified: bool


def asked(arguments: Sequence[str]) -> tuple[Path, dict[str, float]]:
    """Read a results folder and bounds from a command line.

    Args:
        arguments: RESULTS, and --METRIC BOUND or --METRIC=BOUND, at least one, in any order.

    Raises:
        ValueError: if there is no bound, a metric is not known, a bound is no number that the metric can have, or there
            is not exactly one folder.
    """
    places: list[str] = []
    bounds: dict[str, float] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            places.append(word)
            continue
        flag, equals, value = word.partition("=")
        name = flag[2:].replace("-", "_")
        if name not in METRICS:
            raise ValueError(expected_one_of(flag, ["rank1_worst", "expression_kept", *METRICS][:8], name, ALL_METRICS))
        if not equals and not left:
            raise ValueError(f"{flag}: expected a number behind it, got none")
        bounds[name] = _number(flag, name, value if equals else left.pop(0))
    if len(places) != 1:
        raise ValueError(f"RESULTS: expected one folder, got {len(places)}{''.join(f' {one!r}' for one in places)}")
    if not bounds:
        raise ValueError("--METRIC BOUND: expected at least one, as in --rank1-worst 0.1, got none")
    return Path(places[0]), bounds


ALL_METRICS = "another metric of docs/METRICS.md"


def _number(flag: str, name: str, text: str) -> float:
    metric = METRICS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{flag}: expected a number of {low:g} to {high:g}, got {text!r}")
    return value


def recommend(results: Path, bounds: Mapping[str, float], *, best: str = "") -> Found:
    """Choose a configuration of a results folder.

    Args:
        results: folder of a search; where it was verified, the verification's rows are the ones to choose from.
        bounds: metric -> what the whole interval must keep.
        best: metric in which the best is taken; "" for the first objective without a bound, else the last objective.

    Raises:
        ValueError: if nothing was measured there, or no configuration keeps the bounds; the sentence names the nearest.
    """
    rows, sweep, verified = measured(results)
    objectives: dict[str, str] = sweep["objectives"]
    if best and best.replace("-", "_") not in METRICS:
        raise ValueError(expected_one_of("--best", list(objectives), best, ALL_METRICS))
    best = best.replace("-", "_") or next((name for name in objectives if name not in bounds), list(objectives)[-1])
    usable = [row for row in rows if row["method"] not in NO_METHODS]
    for name in (*bounds, best):
        if all(row.get(name) is None for row in usable):
            asked_for = "--best" if name not in bounds else f"--{name.replace('_', '-')}"
            raise ValueError(f"{asked_for}: expected a metric that was measured in {results}, {name} was not there")
    usable = [row for row in usable if all(row.get(name) is not None for name in (*bounds, best))]
    kept = [row for row in usable if all(beyond(row, name, bound) <= 0 for name, bound in bounds.items())]
    if not kept:
        near = min(usable, key=lambda row: max(_relative(row, name, bound) for name, bound in bounds.items()))
        told = " and ".join(words(name, bound) for name, bound in bounds.items())
        has = ", ".join(f"{name} {with_interval(near, name)}" for name in dict.fromkeys((*bounds, best)))
        raise ValueError(
            f"--METRIC BOUND: expected a configuration whose whole interval keeps {told}, none of {len(usable)} does; "
            f"the nearest is {name_of(near)} (trial {near['trial']}): {has}; ask for less, or measure more people, "
            "which narrows the intervals"
        )
    row = min(kept, key=lambda row: (_cost(row, best), *(_cost(row, name) for name in bounds), row["trial"]))
    made = _recommendation(row, sweep, bounds, results, verified)
    return Found(row, made, bounds, best, len(kept), len(usable), sweep, verified)


def measured(results: Path) -> tuple[list[Row], dict[str, Any], bool]:
    """Read the complete rows of a results folder: of its verification where there is one, else of its search.

    Returns:
        flat rows, the facts about the sweep, and whether they are a verification's.

    Raises:
        ValueError: if there is no sweep, or nothing of it is complete.
    """
    verified = results / VERIFIED
    if verified.is_file():
        table, sweep = read_table(verified)
        rows = table.to_pylist()
        sweep |= {name: sweep["verified"][name] for name in ("protocol", "attackers")}
    elif (results / LEDGER).is_file():
        table = read(results / LEDGER)
        rows, sweep = trial_rows(table), sweep_of(table)
    else:
        check_results(results, LEDGER)
    rows = [row for row in rows if row["status"] == "complete"]
    if not any(row["method"] not in NO_METHODS for row in rows):
        raise ValueError(f"RESULTS: expected a complete trial in {results}, there is none; search --resume goes on")
    return rows, sweep, verified.is_file()


def beyond(row: Mapping[str, Any], name: str, bound: float) -> float:
    """Return by how much the worse end of a metric's interval lies beyond a bound; at most 0 where it is kept."""
    if METRICS[name].direction == "min":
        return float(_end(row, name, "hi") - bound)
    return float(bound - _end(row, name, "lo"))


def words(name: str, bound: float) -> str:
    """Say a bound, as in "rank1_worst at most 0.1"."""
    return f"{name} at {'most' if METRICS[name].direction == 'min' else 'least'} {bound:g}"


def _relative(row: Mapping[str, Any], name: str, bound: float) -> float:
    """Return how far a row is beyond a bound, in the size of the bound, so that several metrics compare."""
    return max(0.0, beyond(row, name, bound)) / max(abs(bound), 1e-3)


def _end(row: Mapping[str, Any], name: str, end: str) -> float:
    value = row.get(f"{name}_{end}")
    return float(row[name] if value is None else value)


def _cost(row: Mapping[str, Any], name: str) -> float:
    return float(row[name]) if METRICS[name].direction == "min" else -float(row[name])


def _recommendation(
    row: Row, sweep: Mapping[str, Any], bounds: Mapping[str, float], results: Path, verified: bool
) -> Recommendation:
    scores = {}
    for name in METRICS:
        if row.get(name) is not None:
            ends = (
                {end: row[f"{name}_{short}"] for end, short in (("low", "lo"), ("high", "hi"))}
                if (row.get(f"{name}_lo") is not None)
                else {}
            )
            scores[name] = {"value": row[name], **ends}
    protocol = sweep["protocol"]
    return Recommendation(
        method=row["method"],
        hyperparameters=hyperparameters(row),
        crop_px=protocol.get("crop_px", TEMPLATE_SIZE),
        publish=sweep.get("publish", "png"),
        signals=anonymizer_of(row).needed(),
        networks={
            role: {key: str(net[key]) for key in ("name", "sha256") if net.get(key)}
            for role, net in sweep.get("models", {}).items()
        },
        bounds=dict(bounds),
        scores=scores,
        measured={
            "protocol": protocol["name"],
            "digest": protocol["digest"],
            **{name: row[name] for name in ("n_people", "n_probe", "chance_rank1")},
            "attackers": list(sweep.get("attackers", ())),
            "verified": verified,
        },
        source={"results": results.resolve().name, "trial": row["trial"], "code": sweep.get("code", "")},
    )
