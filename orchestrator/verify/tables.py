"""The tables of a verification, derived from its ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.records.arrow.encoding import VERSION, measured_only
from orchestrator.records.arrow.people import without_people
from orchestrator.records.front import front_mask, front_probability, objective_values
from orchestrator.records.tables import objective_replicates
from orchestrator.records.trials import BASE, EVENTS, FACTS, Row, without_replicates


def verified_table(rows: Sequence[Row], ledger: pa.Table, facts: Mapping[str, Any]) -> pa.Table:
    """Bring what a ledger holds of a front into the order of its rows.

    Args:
        rows: flat rows of the front.
        ledger: of the verification, finished.
        facts: about search and verification, for the metadata.

    Returns:
        The columns of `trials.parquet`, in the order of the rows, with `front_probability`, `on_front`, and what the
        search had measured as `search_<objective>`.
    """
    objectives: dict[str, str] = facts["objectives"]
    table = _in_order(rows, ledger)
    status = table.column("status").to_pylist()
    measured = [n for n, one in enumerate(status) if one == "complete"]
    on_front, probability = np.zeros(len(rows), bool), np.zeros(len(rows))
    if measured:
        some = table.take(pa.array(measured))
        ways = list(objectives.values())
        on_front[measured] = front_mask(objective_values(some.to_pylist(), objectives), ways)
        probability[measured] = front_probability(objective_replicates(some, objectives), ways)
    out = measured_only(without_replicates(table), (*BASE, *objectives, *FACTS, "seconds"))
    place = out.column_names.index("trial")
    out = out.set_column(place, "trial", pa.array([row["trial"] for row in rows], pa.int64()))
    out = out.append_column("front_probability", pa.array(probability))
    out = out.append_column("on_front", pa.array(on_front))
    for name in objectives:
        out = out.append_column(f"search_{name}", pa.array([row[name] for row in rows], pa.float64()))
    told = {**without_people(facts), "version": VERSION}
    return out.replace_schema_metadata({"sweep": json.dumps(told, allow_nan=False)})


def _in_order(rows: Sequence[Row], ledger: pa.Table) -> pa.Table:
    """Return the ended trials of a ledger in the order of a front."""
    ended = ledger.filter(~pc.field("status").isin(EVENTS))
    place = {name: n for n, name in enumerate(ended.column("anonymizer").to_pylist())}
    return ended.take(pa.array([place[row["anonymizer"]] for row in rows]))


def curve_table(rows: Sequence[Row], ledger: pa.Table) -> pa.Table:
    """Collect the curves of every attacker on every configuration, one point a row.

    Args:
        rows: flat rows of the front.
        ledger: of the verification, whose rows hold the curves.

    Returns:
        `trial`, `attacker`, `kind` ("cmc": x is k, y the rank-k rate; "roc": x is the false accept rate, y the true
        accept rate), `x`, `y`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("trial", "attacker", "kind", "x", "y")}
    for row, text in zip(rows, _in_order(rows, ledger).column("curves").to_pylist(), strict=True):
        for attacker, found in json.loads(text or "{}").items():
            cmc, far, tar = (found[name] for name in ("cmc", "far", "tar"))
            for kind, x, y in (("cmc", range(1, len(cmc) + 1), cmc), ("roc", far, tar)):
                columns["trial"] += [row["trial"]] * len(y)
                columns["attacker"] += [attacker] * len(y)
                columns["kind"] += [kind] * len(y)
                columns["x"] += [float(value) for value in x]
                columns["y"] += y
    types = {"trial": pa.int64(), "attacker": pa.string(), "kind": pa.string(), "x": pa.float64(), "y": pa.float64()}
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
