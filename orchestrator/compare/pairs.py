"""Pairs of configurations on the same people: differences, and their intervals.

Two intervals that overlap say little: all configurations were measured on the same people, whose peculiarities cancel
in the difference. The replicates of the ledger are joint, so that the interval of a difference is that of its
replicates. What people add to the figures of each row gives the replicates of more metrics than the objectives, and of
the strongest of fewer attackers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text
from torch import Tensor

from evaluators.metrics import METRICS
from evaluators.metrics.scores import FUSED
from evaluators.metrics.statistics import percentile_interval
from orchestrator.records.arrow.messages import read_stream, sweep_of
from orchestrator.records.arrow.people import OF_ATTACKERS, Drawn
from orchestrator.records.files import LEDGER, check_results
from orchestrator.records.front import eligible, front_rows
from orchestrator.records.ledger import read
from orchestrator.records.trials import EVENTS, Row, without_replicates
from orchestrator.records.wording import ANCHORS, name_of, number

MOST = 40
"""Pairs that are shown at most."""


def compared(
    results: Path, trials: Sequence[int], metrics: Sequence[str] = (), attackers: Sequence[str] = ()
) -> list[dict[str, float | int | str]]:
    """Compare trials of a results folder, see `chosen_pairs` and `compare`.

    Args:
        results: the folder.
        trials: whom to compare; none for neighbors on the front.
        metrics: in what; none for the objectives.
        attackers: who counts in `rank1_worst` and its fused kind; none for all of the sweep.

    Raises:
        ValueError: if there is no ledger, or nothing to compare.
    """
    check_results(results, LEDGER)
    table = read(results / LEDGER)
    objectives: dict[str, str] = sweep_of(table)["objectives"]
    pairs = chosen_pairs(without_replicates(table).to_pylist(), objectives, trials)
    directions = {name: METRICS[name].direction for name in metrics} or objectives
    if attackers and not set(directions) & set(OF_ATTACKERS):
        raise ValueError(
            f"--attacker: expected a metric of several attackers, got {', '.join(directions)}; give --metric "
            f"{OF_ATTACKERS[0]}, or the attacker's own as --metric rank1_{attackers[0]}"
        )
    return compare(table, directions, pairs, attackers or None)


def gaps(results: Path) -> list[str]:
    """Say what a ledger lacks of its sweep, one sentence for each thing."""
    stream = read_stream(results / LEDGER)
    facts = sweep_of(stream.schema)
    ended = sum(status not in EVENTS for batch in stream.batches for status in batch.column("status").to_pylist())
    said = []
    if stream.rest:
        said.append(
            f"{results / LEDGER}: its last {len(stream.rest)} bytes are a row that was not finished, by a search that "
            "runs or was ended; it is left out"
        )
    for cut in sorted(results.glob(f"{LEDGER}.cut-*")):
        said.append(f"{cut}: {cut.stat().st_size} bytes of a row that was not finished were cut off the ledger earlier")
    total = facts.get("trials", 0) + len(ANCHORS)
    if facts.get("sampler") != "grid" and ended < total:
        said.append(f"{results}: {ended} of {total} trials have ended; search --resume goes on with the others")
    return said


def chosen_pairs(rows: Sequence[Row], objectives: Mapping[str, str], trials: Sequence[int]) -> list[tuple[int, int]]:
    """List whom to compare: all pairs of the given trials, or neighbors on the front.

    Raises:
        ValueError: if a trial is not complete, or fewer than two remain.
    """
    known = {row["trial"] for row in rows if eligible(row, objectives)}
    if other := [trial for trial in trials if trial not in known]:
        raise ValueError(f"TRIAL: expected complete trials of this sweep, got {other}; trials.parquet lists them")
    if len(known) < 2:
        raise ValueError(
            f"RESULTS: expected at least two complete trials to compare, the sweep has {len(known)}; search --resume "
            "goes on with it"
        )
    if trials:
        pairs = list(itertools.combinations(dict.fromkeys(trials), 2))
    else:
        pairs = list(itertools.pairwise(row["trial"] for row in front_rows(rows, objectives)))
    if not pairs:
        told = f"different trials, got {' '.join(map(str, trials))}" if trials else "a front of two, got one"
        raise ValueError(f"TRIAL: expected {told}; name two trials of {', '.join(map(str, sorted(known)[:20]))}")
    if len(pairs) > MOST:
        raise ValueError(f"TRIAL: expected at most {MOST} pairs, got {len(pairs)}; name fewer trials")
    return pairs


def compare(
    ledger: pa.Table,
    metrics: Mapping[str, str],
    pairs: Sequence[tuple[int, int]],
    attackers: Sequence[str] | None = None,
) -> list[dict[str, float | int | str]]:
    """Compare pairs of trials on the same people.

    Args:
        ledger: its table, with replicates.
        metrics: name -> "min" or "max"; objectives, or others whose replicates follow from what people add.
        pairs: numbers of complete trials.
        attackers: who counts in `rank1_worst` and its fused kind; None for all who were met.

    Returns:
        For each pair and metric `first`, `second` (trials), `first_name`, `second_name`, `metric` (with the attackers
        where they were chosen), `difference` (second - first), `low`, `high` (its 95 % interval over people), and
        `better`: the share of the replicates in which the second is strictly better.

    Raises:
        ValueError: if a trial has no replicates of a metric, or an attacker did not meet it.
    """
    trials = sorted(set(itertools.chain(*pairs)))
    table = ledger.filter((pc.field("status") == "complete") & pc.field("trial").isin(trials)).sort_by("trial")
    rows = {row["trial"]: (place, row) for place, row in enumerate(without_replicates(table).to_pylist())}
    kept = Drawn(table)
    values, replicates = {}, {}
    for trial, (place, row) in rows.items():
        values[trial], replicates[trial] = _measured(kept, place, row, metrics, attackers)
    out: list[dict[str, float | int | str]] = []
    for first, second in pairs:
        (_, one), (_, other) = rows[first], rows[second]
        for name, way in metrics.items():
            drawn = replicates[second][name] - replicates[first][name]
            low, high = percentile_interval(drawn, one["n_people"])
            out.append(
                {
                    "first": first,
                    "second": second,
                    "first_name": name_of(one),
                    "second_name": name_of(other),
                    "metric": f"{name} of {', '.join(attackers)}" if attackers and name in OF_ATTACKERS else name,
                    "difference": values[second][name] - values[first][name],
                    "low": low,
                    "high": high,
                    "better": float(((drawn < 0) if way == "min" else (drawn > 0)).double().mean()),
                }
            )
    return out


def _measured(
    kept: Drawn, place: int, row: Row, metrics: Mapping[str, str], attackers: Sequence[str] | None
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Return the values of a row, and their (R,) replicates; an objective without any stands at its value."""
    drawn: dict[str, NDArray[Any]] = {**kept.of(place, metrics, attackers)}
    values: dict[str, float] = {}
    for name in metrics:
        if row.get(name) is None:
            raise ValueError(
                f"--metric: expected one that was measured, trial {row['trial']} has no {name}; trials.parquet has all"
            )
        values[name] = row[name]
        if attackers is not None and name in OF_ATTACKERS:
            values[name] = max(_rates(kept, place, row, name, attackers))
        if name in kept.objectives:
            drawn.setdefault(name, np.full(1, row[name]))
        if name not in drawn:
            raise ValueError(
                f"--metric: expected an objective or one that is made of attackers' rank-1, kappas or R², got {name}, "
                f"of which trial {row['trial']} keeps nothing by person; choose another"
            )
    return values, {name: torch.from_numpy(drawn[name].astype(np.float32)) for name in metrics}


def _rates(kept: Drawn, place: int, row: Row, metric: str, attackers: Sequence[str]) -> list[float]:
    """Return each attacker's rate of a row."""
    people = kept.people(place)
    end = FUSED if metric.endswith(FUSED) else ""
    met = [] if people is None else people.attackers(fused=bool(end))
    if people is None or kept.population is None or not met:
        raise ValueError(
            f"--attacker: expected a ledger that keeps what each person adds, that of trial {row['trial']} does not; "
            "search again with this version, or leave it out"
        )
    if others := [name for name in attackers if name not in met]:
        raise ValueError(
            f"--attacker: expected some of {', '.join(met)}, whom trial {row['trial']} met, got {', '.join(others)}; "
            "choose among them"
        )
    pictures = kept.population.pictures
    count = float((pictures > 0).sum() if end else pictures.sum())
    return [float(people.sums[f"rank1_{name}{end}"].sum(dtype=np.float64)) / count for name in attackers]


def shown(rows: Sequence[Mapping[str, float | int | str]]) -> Table:
    """Lay out the comparisons."""
    table = Table(title="Second minus first, on the same people", title_justify="left")
    for name, justify in (("first", "left"), ("second", "left"), ("metric", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("difference", "95 % interval", "second is better in"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            *(Text(f"{row[f'{which}_name']} ({row[which]})") for which in ("first", "second")),
            Text(str(row["metric"])),
            number(row["difference"]),
            Text(f"[{number(row['low'])}, {number(row['high'])}]"),
            number(row["better"]),
        )
    return table
