"""The table of a long sweep, as its ledger would be read: ten methods, details, a front of a few hundred."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.records.ledger import Ledger
from tests.helpers.detailed_rows import DETAILED, details
from tests.helpers.sample_rows import OBJECTIVES, row, scores

TRIALS = 10_000
EACH = 8
METHODS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "blur": ("kernel", (3, 11, 21, 31, 41, 61, 81, 101)),
    "pixelate": ("block", (2, 4, 8, 12, 16, 24, 32, 56)),
    "k_same": ("k", (2, 3, 5, 8, 10, 20, 30, 50)),
    "donors": ("k", (2, 3, 5, 8, 10, 20, 30, 100)),
    "noise": ("deviation", (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 400.0, 800.0)),
    "eye_bar": ("height", (4, 8, 12, 16, 24, 32, 48, 64)),
    "inswapper": ("people", (1, 2, 3, 4, 5, 6, 7, 8)),
    "cloak": ("epsilon", (1, 2, 4, 8, 12, 16, 24, 32)),
    "generator": ("noise", (0.0, 0.1, 0.2, 0.5, 0.8, 1.0, 1.5, 2.0)),
    "deep_privacy2": ("truncation", (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)),
}


def long_table(folder: Path, trials: int = TRIALS) -> pa.Table:
    """Make the table: rows that a ledger wrote, taken again and again with other numbers and other objectives."""
    rows = [row(0, "identity", {}, scores(0.98, 0.82)), row(1, "blackout", {}, scores(0.0063, 0.0))]
    for method, (field, values) in METHODS.items():
        rows += [row(len(rows) + n, method, {field: v}, scores(0.5, 0.5, seed=n)) for n, v in enumerate(values)]
    with Ledger.create(folder / "few.arrow", DETAILED) as ledger:
        for one in rows:
            ledger.append({**one, "scores": replace(one["scores"], details=details(one["trial"]))})
        table = ledger.table()
    rng = np.random.default_rng(0)
    taken = np.concatenate([[0, 1], 2 + np.arange(trials) % (len(rows) - 2)])
    privacy = np.concatenate([[0.98, 0.0063], rng.uniform(0.01, 0.98, trials)])
    utility = np.concatenate([[0.82, 0.0], 0.8 * np.sqrt(privacy[2:]) - 0.1 * np.abs(rng.normal(size=trials))])
    table = table.take(pa.array(taken))
    columns = {"trial": np.arange(trials + 2), "rank1_fixed": privacy / 2}
    for name, values in zip(OBJECTIVES, (privacy, utility), strict=True):
        columns |= {name: values, f"{name}_lo": values - 0.04, f"{name}_hi": values + 0.04}
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values))
    return table
