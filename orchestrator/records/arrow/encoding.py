"""How the ledger keeps a row: in few columns, since each costs every row a description of its own.

`numbers` holds the metrics, their intervals and the counts in the order that the schema's metadata names;
`hyperparameters` is JSON, with whose word the method was told and why it was stopped; what people add stands in one
column, see `people`. Replicates of the objectives that do not follow from it are half-precision floats, which keep
three digits, keep equal what is equal, and order what differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluators.metrics.constraints import Constraint, constraints_of, is_feasible
from evaluators.metrics.scores import People
from orchestrator.records.arrow.people import NAMES, encoded, names_kept
from orchestrator.records.trials import (
    COUNTS,
    FEASIBLE,
    LEDGERS_OWN,
    PEOPLE,
    REPLICATES,
    STOPPED,
    TAKEN_FROM,
    TOLD_BY,
    Row,
    column_types,
    schema,
)

VERSION = 5
"""Of ledger and tables, in their metadata; 1, which had none, kept every column in every row, 2 not what was drawn, 3
no details, 4 not what people add."""
NUMBERS = b"numbers"
BASE = ("trial", "status", "error", "method", "anonymizer", "seconds")


def ledger_schema(sweep: Mapping[str, Any]) -> pa.Schema:
    """Return the schema of the ledger of a sweep."""
    trials = schema(sweep)
    numbers = [name for name in trials.names if name not in (*BASE, TOLD_BY, STOPPED) and "." not in name]
    fields = [trials.field(name) for name in BASE]
    fields += [pa.field("hyperparameters", pa.string()), pa.field("numbers", pa.list_(pa.float64()))]
    fields += [pa.field(name, kind) for name, kind in {**LEDGERS_OWN, TAKEN_FROM: pa.string()}.items()]
    fields += [pa.field(f"{REPLICATES}{name}", pa.list_(pa.float16())) for name in sweep.get("objectives", ())]
    lists = {NUMBERS: json.dumps(numbers), NAMES: json.dumps(names_kept())}
    return pa.schema(fields, metadata={**trials.metadata, **lists, b"version": str(VERSION)})


def batch_of(columns: Row, ledger: pa.Schema) -> pa.RecordBatch:
    """Make a batch of one flat row.

    Raises:
        ValueError: if there is a column that METRICS and ANONYMIZERS do not have, or a value does not fit its column.
    """
    names = json.loads(ledger.metadata[NUMBERS])
    types = column_types() | {name: ledger.field(name).type for name in ledger.names}
    trial = columns["trial"]
    if unknown := sorted(name for name in columns if name not in types and not name.startswith(REPLICATES)):
        raise ValueError(
            f"trial {trial}: expected columns of ANONYMIZERS and METRICS, got also {unknown}; enter the method or "
            "metric there and start a new sweep"
        )
    for name, value in columns.items():
        if not isinstance(value, np.ndarray | People):
            _check_fits(trial, name, value, types[name])
    own = {name: value for name, value in columns.items() if _is_json(name)}
    kept: dict[str, Any] = {name: columns.get(name) for name in ledger.names}
    kept["hyperparameters"] = json.dumps(own)
    if any(columns.get(name) is not None for name in names):
        kept["numbers"] = [columns.get(name) for name in names]
    if kept[PEOPLE] is not None:
        kept[PEOPLE] = encoded(kept[PEOPLE], json.loads(ledger.metadata[NAMES]))
    for name in ledger.names:
        if name.startswith(REPLICATES) and kept[name] is not None:
            kept[name] = np.asarray(kept[name], np.float16)
            if not np.isfinite(kept[name]).all():
                raise ValueError(f"trial {trial}: {name} leaves ±65504, more than half precision holds")
    return pa.record_batch([pa.array([kept[field.name]], field.type) for field in ledger], schema=ledger)


def events_of(ledger: pa.Table, metrics: Sequence[str]) -> list[Row]:
    """Return what a sweep must know of each row to go on, in their order: few columns of hundreds.

    Args:
        ledger: as it lies on the disk.
        metrics: columns of numbers, such as the objectives.
    """
    names: list[str] = json.loads(ledger.schema.metadata[NUMBERS])
    ledger = ledger.select([*(name for name in BASE if name != "seconds"), "blamed", "drawn", TAKEN_FROM, "numbers"])
    numbers = ledger.column("numbers")
    for name in (*metrics, "n_probe"):
        picked = pc.list_element(numbers, names.index(name))
        ledger = ledger.append_column(name, picked.cast(pa.int64()) if name in COUNTS else picked)
    events: list[Row] = ledger.drop_columns(["numbers"]).to_pylist()
    return events


def flat_table(ledger: pa.Table) -> pa.Table:
    """Spread the rows of a ledger over the columns of the trials table; a ledger of version 1 has them already."""
    if NUMBERS not in (ledger.schema.metadata or {}):
        return ledger
    names: list[str] = json.loads(ledger.schema.metadata[NUMBERS])
    ledger = ledger.combine_chunks()
    types = column_types()
    arrays: dict[str, Any] = {name: ledger.column(name) for name in BASE}
    found = [json.loads(text) for text in ledger.column("hyperparameters").to_pylist()]
    for name in dict.fromkeys([*filter(_is_json, types), *(key for one in found for key in one)]):
        arrays[name] = pa.array([one.get(name) for one in found], types.get(name))
    for n, name in enumerate(names):
        picked = pc.list_element(ledger.column("numbers"), n)
        arrays[name] = picked.cast(types.get(name, pa.int64() if name in COUNTS else pa.float64()))
    order = [name for name in types if name in arrays]
    order += [name for name in arrays if name not in types]
    sweep = json.loads(ledger.schema.metadata[b"sweep"])
    if TAKEN_FROM in ledger.column_names and ledger.column(TAKEN_FROM).null_count < len(ledger):
        arrays[TAKEN_FROM] = ledger.column(TAKEN_FROM)
        order.append(TAKEN_FROM)
    if constraints := constraints_of(sweep.get("constraints", ())):
        arrays[FEASIBLE] = _feasible(arrays, constraints)
        order.append(FEASIBLE)
    arrays |= {name: ledger.column(name) for name in ledger.column_names if is_ledgers_own(name)}
    order += [name for name in ledger.column_names if is_ledgers_own(name)]
    kept = {key: ledger.schema.metadata[key] for key in (b"sweep", NAMES) if key in ledger.schema.metadata}
    return pa.table({name: arrays[name] for name in order}, metadata=kept)


def _feasible(arrays: Mapping[str, Any], constraints: Sequence[Constraint]) -> pa.Array:
    """Tell of each row whether it keeps all constraints; null where they were not measured."""
    columns = {one.metric: arrays[one.metric].to_pylist() for one in constraints}
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    kept = [None if None in row.values() else is_feasible(row, constraints) for row in rows]
    return pa.array(kept, pa.bool_())


def is_ledgers_own(name: str) -> bool:
    """Tell a column that stays out of the tables."""
    return name.startswith(REPLICATES) or name in LEDGERS_OWN


def _is_json(name: str) -> bool:
    """Tell a column of a trial that the ledger keeps in JSON: few rows have it."""
    return name in (TOLD_BY, STOPPED) or ("." in name and not name.startswith(REPLICATES))


def _check_fits(trial: int, name: str, value: Any, kind: pa.DataType) -> None:
    """Refuse a value that its column would change: Arrow cuts 5.5 down to 5 without a word."""
    try:
        fits = pa.array([value], kind)[0].as_py() == value
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"trial {trial}: a value does not fit its column: {name}: {error}") from error
    if not fits:
        raise ValueError(f"trial {trial}: {name} = {value!r} does not fit its column of {kind}")


def measured_only(trials: pa.Table, always: Sequence[str]) -> pa.Table:
    """Leave out the columns that no trial has a value of, as metrics that nothing here can measure; `always` stay."""
    kept = [name for name in trials.column_names if name in always or trials.column(name).null_count < len(trials)]
    return trials.select(kept)
