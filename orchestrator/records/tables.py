"""The tables that are derived from a ledger."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from anonymizers import ANONYMIZERS
from orchestrator.records.arrow.encoding import VERSION, measured_only
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.arrow.people import Drawn, without_people
from orchestrator.records.files import replace_file
from orchestrator.records.front import eligible, front_probability, front_rows, objective_values, seba_areas
from orchestrator.records.ledger import read
from orchestrator.records.trials import (
    BASE,
    EVENTS,
    FACTS,
    FEASIBLE,
    Row,
    details_of,
    without_replicates,
)
from orchestrator.records.wording import ANCHORS

SWEEP_FACTS = ("objectives", "protocol", "models", "seed")
"""Facts about a sweep that those who read its tables go by."""
WORD = pa.dictionary(pa.int16(), pa.string())
GROUP_FIGURES = ("rank1_worst", "expression_kept")
Details = Mapping[int, Mapping[str, Any]]
"""Trial -> what its scores have beside the columns."""


def objective_replicates(table: pa.Table, objectives: Mapping[str, str]) -> NDArray[np.float32]:
    """Collect the joint bootstrap replicates of the objectives, all rows of the table being `eligible`.

    Args:
        table: n rows of a ledger.
        objectives: metric name -> "min" or "max".

    Returns:
        (n, m, R) float32. An objective without replicates stands at its measured value in every one; R is 1 if none
        has any.

    Raises:
        ValueError: if rows or objectives differ in the number of replicates.
    """
    values = objective_values(table.select(list(objectives)).to_pylist(), objectives)
    kept = Drawn(table)
    drawn = [kept.of(place, objectives) for place in range(len(table))]
    some = [name for name in objectives if any(name in one for one in drawn)]
    counts = {len(one.get(name, ())) for one in drawn for name in some} or {1}
    if len(counts) > 1:
        raise ValueError(f"ledger: expected as many replicates of every objective in every row, got {sorted(counts)}")
    replicates = np.repeat(values[:, :, None].astype(np.float32), counts.pop(), axis=2)
    for n, one in enumerate(drawn):
        for m, name in enumerate(objectives):
            if name in one:
                replicates[n, m] = one[name]
    return replicates


def read_table(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table of a results folder, and the facts about its sweep.

    Raises:
        ValueError: if it is damaged, no such table, or of a version with other methods.
    """
    again = "search --resume writes it again from the ledger"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        why = str(error).split(". ")[0].split("\n")[0]
        raise ValueError(f"RESULTS: expected a table of a sweep, {path}: {why}; {again}") from None
    try:
        facts = sweep_of(table)
        lacking = [name for name in SWEEP_FACTS if name not in facts]
    except (KeyError, TypeError, ValueError):
        lacking = ["sweep"]
    lacking += [name for name in BASE if name not in table.column_names]
    if lacking:
        raise ValueError(f"RESULTS: expected a table of a sweep, {path} lacks {', '.join(lacking)}; {again}")
    if unknown := sorted({*pc.unique(table.column("method")).to_pylist()} - ANONYMIZERS.keys()):
        raise ValueError(
            f"RESULTS: expected methods of this version of the program, {path} has {', '.join(map(str, unknown))}; use "
            "the version that searched"
        )
    return table, facts


def write_tables(ledger: pa.Table | Path | str, sweep: Mapping[str, Any], folder: Path | str) -> list[Row]:
    """Derive `trials.parquet` and `front.parquet` from a ledger.

    Columns that no trial has a value of stay out, as metrics that nothing here can measure; the metadata's `version`
    says so. Both are written to a temporary name and synchronized before they get theirs, so that a reader never sees
    half a table.

    Args:
        ledger: its table, as `read` returns it, or its file.
        sweep: facts about the sweep with `objectives`; they become the metadata.
        folder: where the tables go; made if absent.

    Returns:
        The flat rows of the front, with `front_probability`, which all trials have, and `seba_area` of their method. In
        the tables the trials are ordered by their number, the front by the first objective.
    """
    table = ledger if isinstance(ledger, pa.Table) else read(ledger)
    ended = table.select(["trial", "status"]).append_column("row", pa.array(np.arange(len(table))))
    ended = ended.filter(~pc.field("status").isin(EVENTS)).sort_by("trial").column("row")  # few columns are moved
    objectives: dict[str, str] = sweep["objectives"]
    metadata = {"sweep": json.dumps({**without_people(sweep), "version": VERSION}, allow_nan=False)}
    trials = measured_only(without_replicates(table).take(ended), (*BASE, *objectives, *FACTS, "seconds"))
    trials = trials.replace_schema_metadata(metadata)
    # As Python's objects, the hundreds of columns of thousands of rows take a gigabyte; few are looked at here.
    looked_at = dict.fromkeys((*BASE, *objectives, "rank1_worst", "expression_kappa_adapted", FEASIBLE))
    rows: list[Row] = trials.select([name for name in looked_at if name in trials.column_names]).to_pylist()
    place = {row["trial"]: n for n, row in enumerate(rows)}
    front = [place[row["trial"]] for row in front_rows(rows, objectives)]
    candidates = [n for n, row in enumerate(rows) if eligible(row, objectives)]
    probability: list[float | None] = [None] * len(rows)
    if candidates:
        drawn = [*dict.fromkeys((*objectives, *Drawn.needed(table)))]
        replicates = objective_replicates(table.select(drawn).take(ended.take(pa.array(candidates))), objectives)
        for n, share in zip(candidates, front_probability(replicates, list(objectives.values())), strict=True):
            probability[n] = float(share)
    trials = trials.append_column(pa.field("front_probability", pa.float64()), pa.array(probability, pa.float64()))
    front_table = trials.take(pa.array(front, pa.int64()))
    areas = seba_areas(rows)
    of_method = [areas.get(rows[n]["method"]) for n in front]
    front_table = front_table.append_column(pa.field("seba_area", pa.float64()), pa.array(of_method, pa.float64()))

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("trials.parquet", trials), ("front.parquet", front_table)):
        replace_file(folder / name, functools.partial(pq.write_table, content, compression="zstd"))
    kept: list[Row] = front_table.to_pylist()
    return kept


def write_details(ledger: pa.Table, sweep: Mapping[str, Any], front: Sequence[Row], folder: Path | str) -> Details:
    """Derive `confusions.parquet`, and `groups.parquet` where people have groups, from a ledger.

    Args:
        ledger: as `read` returns it.
        sweep: facts about the sweep; the panel's name the judges' classes, the protocol's count the groups' people.
        front: its flat rows.
        folder: where the tables go. One that nothing is known for is removed: it would be an earlier sweep's.

    Returns:
        The details of the front's and the anchors' trials, as the report takes them.
    """
    protocol, named = sweep["protocol"], sweep.get("panel", {}).get("judges_classes", {})
    anchors = ledger.select(["trial", "method"]).filter(pc.field("method").isin(list(ANCHORS))).column("trial")
    shown = {*(row["trial"] for row in front), *anchors.to_pylist()}
    every = details_of(ledger, None if protocol.get("groups") else shown)
    details = {trial: every[trial] for trial in sorted(shown & every.keys())}
    metadata = {"sweep": json.dumps({**without_people(sweep), "version": VERSION}, allow_nan=False)}
    tables = {"confusions.parquet": _confusions(details, named), "groups.parquet": _groups(every, protocol)}
    for name, table in tables.items():
        path = Path(folder) / name
        if len(table):
            whole = table.replace_schema_metadata(metadata)
            replace_file(path, functools.partial(pq.write_table, whole, compression="zstd"))
        else:
            path.unlink(missing_ok=True)
    return details


def _confusions(details: Details, named: Mapping[str, Sequence[str]]) -> pa.Table:
    """Return a row for each two classes: how many faces of the one, by a judge, a reader takes for the other."""
    rows: list[tuple[Any, ...]] = [
        (trial, judge, reader, named[judge][place // len(named[judge])], named[judge][place % len(named[judge])], count)
        for trial, one in details.items()
        for judge, readers in one.get("confusions", {}).items()
        if judge in named
        for reader, counts in readers.items()
        for place, count in enumerate(counts)
    ]
    return _table(rows, trial=pa.int64(), judge=WORD, reader=WORD, clear=WORD, read=WORD, count=pa.int64())


def _groups(details: Details, protocol: Mapping[str, Any]) -> pa.Table:
    """Return a row for each group of people under each configuration; of too few people without figures."""
    nothing: tuple[None, ...] = (None, None, None)
    rows: list[tuple[Any, ...]] = []
    for trial, one in sorted(details.items()):
        for attribute, counted in protocol.get("groups", {}).items() if "groups" in one else ():
            for group, people in counted.items():
                found = one["groups"].get(attribute, {}).get(group, {})
                figures = (*(found.get("rank1_worst") or nothing), *(found.get("expression_kept") or nothing))
                rows.append((trial, attribute, group, people, *figures, found.get("attacker")))
    figures_of = {f"{name}{end}": pa.float64() for name in GROUP_FIGURES for end in ("", "_lo", "_hi")}
    return _table(rows, trial=pa.int64(), attribute=WORD, group=WORD, n_people=pa.int64(), **figures_of, attacker=WORD)


def _table(rows: Sequence[tuple[Any, ...]], **types: pa.DataType) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    return pa.table({n: pa.array(values, kind) for (n, kind), values in zip(types.items(), columns, strict=True)})
