"""A trial as a row of columns: the schema that the ledger and the tables share, and the way there and back."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anonymizers import ANONYMIZERS, Anonymizer
from anonymizers.ranges import Choice, Integer, Range
from evaluators.metrics import METRICS
from evaluators.metrics.scores import People

STATUSES = ("complete", "stopped", "failed")
ASKED = "asked"
"""Status of a row that says in the ledger that a configuration was proposed, before it is known what comes of it."""
LOST = "lost"
"""Status of a row that says in the ledger why a trial came back without an outcome and is proposed again."""
EVENTS = (ASKED, LOST)
"""Statuses of rows that stand in the ledger alone: what happened to a trial before it ended."""
REPLICATES = "replicates."
"""Prefix of the ledger's columns of bootstrap replicates, which do not go into the tables."""
COUNTS = ("n_probe", "n_people", "n_gallery", "n_attacker")
FACTS = (*COUNTS, "chance_rank1")
TAKEN_FROM = "taken_from"
"""Column that names sweep and trial of a row that was not measured, but taken over from an earlier sweep."""
DETAILS = "details"
PEOPLE, STRETCHED = "people", "stretched"
"""Columns of what each person adds to the figures, see `arrow.people`."""
LEDGERS_OWN = {
    "blamed": pa.bool_(),
    "curves": pa.string(),
    "drawn": pa.string(),
    DETAILS: pa.string(),
    PEOPLE: pa.map_(pa.int16(), pa.binary()),
    STRETCHED: pa.string(),
}
"""Columns that the ledger alone has: whether a lost trial was held against its configuration, curves as JSON, what the
study drew for a configuration that was asked for, as JSON, the scores' details, as JSON, and what people add, with the
factors of replicates that are spread, as JSON."""
FEASIBLE = "feasible"
"""Column that says whether a row keeps the constraints of its sweep; only where there are some."""
TOLD_BY = "told_by"
"""Column that names whose answer about the expression a method was told."""
STOPPED = "stopped"
"""Column that says why a trial was stopped, or would have been but for the audit: stage, dominating trials, confidence,
as JSON."""
BASE = ("trial", "status", "error", "method", "anonymizer")


def column_types() -> dict[str, pa.DataType]:
    """Return what every column of the trials table holds, in their order."""
    types = dict.fromkeys(("trial",), pa.int64()) | dict.fromkeys(BASE[1:], pa.string())
    for method, anonymizer in ANONYMIZERS.items():
        types |= {f"{method}.{name}": _type(over) for name, over in anonymizer.ranges().items()}
    for name, metric in METRICS.items():
        types |= dict.fromkeys((name, f"{name}_lo", f"{name}_hi") if metric.interval else (name,), pa.float64())
    types |= dict.fromkeys((TOLD_BY, STOPPED), pa.string()) | dict.fromkeys(COUNTS, pa.int64())
    return types | dict.fromkeys(("chance_rank1", "seconds"), pa.float64())


def schema(sweep: Mapping[str, Any]) -> pa.Schema:
    """Return the schema of a trials table that has every column.

    Args:
        sweep: facts about the sweep, ready for JSON; they become the metadata under the key `sweep`.

    Raises:
        ValueError: if the facts hold a NaN or an infinity.
    """
    always = ("trial", "status", "method", "anonymizer")
    fields = [pa.field(name, kind, nullable=name not in always) for name, kind in column_types().items()]
    return pa.schema(fields, metadata={"sweep": json.dumps(sweep, allow_nan=False)})


def without_replicates(table: pa.Table) -> pa.Table:
    """Leave the columns of the trials table."""
    return table.select([n for n in table.column_names if not n.startswith(REPLICATES) and n not in LEDGERS_OWN])


def flat(row: Mapping[str, Any]) -> Row:
    """Spread a row as the search has it over columns.

    Args:
        row: `trial`, `status`, `error`, `method`, `anonymizer` (repr), `hyperparameters` (field -> value), `scores`
            (Scores or None) and `seconds`; `stopped` of a trial that was stopped, or would have been but for the audit.

    Returns:
        Column -> value; what is None may be absent. Replicates are (R,) float32 arrays, what people add is `People`.

    Raises:
        ValueError: if the status is unknown, a failure has no error, a complete trial no scores, or a number is not
            finite.
    """
    status, error, scores = row["status"], row["error"], row["scores"]
    whose = f"trial {row['trial']} ({row['anonymizer']})"
    if status not in (*STATUSES, *EVENTS):
        raise ValueError(f"{whose}: expected a status of {(*STATUSES, *EVENTS)}, got {status!r}")
    if status in ("failed", LOST) and (not error or scores is not None):
        raise ValueError(f"{whose}: expected an error and no scores of a {status} trial, got {error!r} and {scores}")
    if status == "complete" and (error or scores is None):
        raise ValueError(f"{whose}: expected scores and no error of a complete trial, got {scores} and {error!r}")
    if status == "stopped" and (error or scores is None or not row.get(STOPPED)):
        raise ValueError(f"{whose}: expected scores so far and why of a stopped trial, got {scores} and {error!r}")
    if status == ASKED and (error or scores is not None):
        raise ValueError(f"{whose}: expected neither scores nor an error of a question, got {scores} and {error!r}")
    columns = {name: row[name] for name in ("trial", "status", "error", "method", "anonymizer", "seconds")}
    columns |= {name: row[name] for name in (*LEDGERS_OWN, TAKEN_FROM, STOPPED) if row.get(name) is not None}
    columns |= {f"{row['method']}.{name}": value for name, value in row["hyperparameters"].items()}
    if scores is not None:
        columns |= dict(scores.values)
        for name, (low, high) in scores.intervals.items():
            columns |= {f"{name}_lo": low, f"{name}_hi": high}
        columns |= {name: getattr(scores, name) for name in FACTS}
        columns |= {TOLD_BY: scores.told_by} if scores.told_by else {}
        columns |= {DETAILS: json.dumps(scores.details, separators=(",", ":"))} if scores.details else {}
        if scores.people is not None:
            columns[PEOPLE] = scores.people
            columns |= {STRETCHED: json.dumps(scores.people.stretched)} if scores.people.stretched else {}
        columns |= {f"{REPLICATES}{name}": np.asarray(draws, np.float32) for name, draws in scores.replicates.items()}
    for name, value in columns.items():
        arrays = value.sums.values() if isinstance(value, People) else [value] if isinstance(value, np.ndarray) else []
        if not (_finite(value) and all(np.isfinite(array).all() for array in arrays)):
            raise ValueError(f"{whose}: {name} is not finite; a quantity that cannot be measured is None")
    return columns


def hyperparameters(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a flat row, by their fields."""
    prefix = f"{columns['method']}."
    return {
        name.removeprefix(prefix): value
        for name, value in columns.items()
        if name.startswith(prefix) and value is not None
    }


def _finite(value: Any) -> bool:
    """Tell whether a value is no number, or a finite one."""
    return not isinstance(value, float | np.floating) or math.isfinite(value)


def _type(over: Range) -> pa.DataType:
    """Return the column type of a hyperparameter."""
    return pa.int64() if isinstance(over, Integer) else pa.string() if isinstance(over, Choice) else pa.float64()


Row = dict[str, Any]


def trial_rows(table: pa.Table) -> list[Row]:
    """Return the trials that have ended as flat rows, ordered by number, without replicates.

    Args:
        table: of a ledger or of `trials.parquet`.
    """
    rows: list[Row] = without_replicates(table).to_pylist()
    return sorted((row for row in rows if row["status"] not in EVENTS), key=lambda row: row["trial"])


def details_of(ledger: pa.Table, trials: Collection[int] | None = None) -> dict[int, dict[str, Any]]:
    """Return what the complete trials of a ledger have beside their columns, see `Scores.details`.

    Args:
        ledger: as `ledger.read` returns it.
        trials: whose is wanted; None for all.
    """
    if DETAILS not in ledger.column_names:
        return {}  # of version 3 or earlier
    found = ledger.select(["trial", "status", DETAILS]).filter(pc.field(DETAILS).is_valid())
    pairs = zip(*(found.column(name).to_pylist() for name in found.column_names), strict=True)
    return {
        trial: json.loads(text)
        for trial, status, text in pairs
        if status == "complete" and (trials is None or trial in trials)
    }


def anonymizer_of(row: Mapping[str, Any]) -> Anonymizer:
    """Make the anonymizer of a flat row again from its hyperparameter columns."""
    return ANONYMIZERS[row["method"]](**hyperparameters(row))
