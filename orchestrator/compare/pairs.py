"""Pairs of configurations on the same people: differences, and their intervals.

Two intervals that overlap say little: all configurations were measured on the same people, whose peculiarities cancel
in the difference. The replicates of the ledger are joint, so that the interval of a difference is that of its
replicates.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from rich.table import Table
from rich.text import Text

from evaluators.metrics.statistics import percentile_interval
from orchestrator.records.arrow.messages import read_stream, sweep_of
from orchestrator.records.files import LEDGER, check_results
from orchestrator.records.front import eligible, front_rows
from orchestrator.records.ledger import read
from orchestrator.records.tables import objective_replicates
from orchestrator.records.trials import EVENTS, Row, without_replicates
from orchestrator.records.wording import ANCHORS, name_of, number

MOST = 40
"""Pairs that are shown at most."""


def compared(results: Path, trials: Sequence[int]) -> list[dict[str, float | int | str]]:
    """Compare trials of a results folder, see `chosen_pairs` and `compare`.

    Raises:
        ValueError: if there is no ledger, or nothing to compare.
    """
    check_results(results, LEDGER)
    table = read(results / LEDGER)
    objectives: dict[str, str] = sweep_of(table)["objectives"]
    return compare(table, objectives, chosen_pairs(without_replicates(table).to_pylist(), objectives, trials))


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
    ledger: pa.Table, objectives: Mapping[str, str], pairs: Sequence[tuple[int, int]]
) -> list[dict[str, float | int | str]]:
    """Compare pairs of trials on the same people.

    Args:
        ledger: its table, with replicates.
        objectives: metric name -> "min" or "max".
        pairs: numbers of complete trials.

    Returns:
        For each pair and objective `first`, `second` (trials), `first_name`, `second_name`, `objective`, `difference`
        (second - first), `low`, `high` (its 95 % interval over people), and `better`: the share of the replicates in
        which the second is strictly better.
    """
    trials = sorted(set(itertools.chain(*pairs)))
    table = ledger.filter((pc.field("status") == "complete") & pc.field("trial").isin(trials)).sort_by("trial")
    rows = {row["trial"]: (place, row) for place, row in enumerate(without_replicates(table).to_pylist())}
    replicates = torch.from_numpy(objective_replicates(table, objectives))
    out: list[dict[str, float | int | str]] = []
    for first, second in pairs:
        (a, one), (b, other) = rows[first], rows[second]
        for m, (name, way) in enumerate(objectives.items()):
            drawn = replicates[b, m] - replicates[a, m]
            low, high = percentile_interval(drawn, one["n_people"])
            out.append(
                {
                    "first": first,
                    "second": second,
                    "first_name": name_of(one),
                    "second_name": name_of(other),
                    "objective": name,
                    "difference": other[name] - one[name],
                    "low": low,
                    "high": high,
                    "better": float(((drawn < 0) if way == "min" else (drawn > 0)).double().mean()),
                }
            )
    return out


def shown(rows: Sequence[Mapping[str, float | int | str]]) -> Table:
    """Lay out the comparisons."""
    table = Table(title="Second minus first, on the same people", title_justify="left")
    for name, justify in (("first", "left"), ("second", "left"), ("objective", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("difference", "95 % interval", "second is better in"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            *(Text(f"{row[f'{which}_name']} ({row[which]})") for which in ("first", "second")),
            Text(str(row["objective"])),
            number(row["difference"]),
            Text(f"[{number(row['low'])}, {number(row['high'])}]"),
            number(row["better"]),
        )
    return table
