"""What each person adds, in the ledger: replicates follow from it, and are kept only where they do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from evaluators.metrics.scores import Scores
from orchestrator.records.arrow.encoding import batch_of, ledger_schema
from orchestrator.records.arrow.messages import batch_message, schema_message
from orchestrator.records.arrow.people import NAMES, without_people
from orchestrator.records.ledger import Ledger, read
from orchestrator.records.tables import objective_replicates, write_tables
from orchestrator.records.trials import PEOPLE, STRETCHED, flat
from tests.helpers.people_rows import OBJECTIVES, PERSON, facts, measured
from tests.helpers.sample_rows import row

SHARED = torch.arange(len(PERSON)) // 2 % 60
"""Probes of several people that got the same released picture."""


@pytest.fixture(scope="module")
def outcomes() -> list[Scores]:
    some = [measured(0.9 - 0.2 * n, 0.9 - 0.15 * n, seed=n) for n in range(4)]
    return [*some, measured(0.4, 0.6, seed=9, released=SHARED)]


def rows_of(outcomes: list[Scores]) -> list[dict[str, Any]]:
    return [row(n, "blur", {"kernel": 5 + 2 * n, "region": "crop"}, scores) for n, scores in enumerate(outcomes)]


def written(folder: Path, outcomes: list[Scores], sweep: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger.create(folder / "ledger.arrow", sweep) as ledger:
        for one in rows_of(outcomes):
            ledger.append(one)
    return folder / "ledger.arrow"


def draws_of(outcomes: list[Scores]) -> np.ndarray[Any, Any]:
    return np.array([[one.replicates[name].astype(np.float16) for name in OBJECTIVES] for one in outcomes])


def test_replicates_follow_digit_for_digit_and_are_not_kept(tmp_path: Path, outcomes: list[Scores]) -> None:
    path = written(tmp_path, outcomes, facts())
    table = read(path)
    assert all(table.column(f"replicates.{name}").null_count == len(table) for name in OBJECTIVES)
    assert table.column(STRETCHED).null_count == len(table) - 1  # of the one that shares pictures
    np.testing.assert_array_equal(objective_replicates(table, OBJECTIVES), draws_of(outcomes))
    with Ledger.open(path) as ledger:
        lazily, back = ledger.draws(tuple(OBJECTIVES)), ledger.rows()
    for n, scores in enumerate(outcomes):
        assert set(lazily[n]) == set(OBJECTIVES) and "ssim" not in lazily[n]
        for name in OBJECTIVES:
            np.testing.assert_array_equal(lazily[n][name], scores.replicates[name].astype(np.float16))
            np.testing.assert_array_equal(back[n]["scores"].replicates[name], lazily[n][name])
        kept, before = back[n]["scores"].people, scores.people
        assert before is not None and kept.stretched == before.stretched and kept.sums.keys() == before.sums.keys()
        for name, sums in before.sums.items():
            assert kept.sums[name].dtype == sums.dtype
            np.testing.assert_array_equal(kept.sums[name], sums)


def test_replicates_that_do_not_follow_are_kept(tmp_path: Path, outcomes: list[Scores]) -> None:
    """As those of a panel that reads the clear faces otherwise."""
    others = {name: draws + np.float32(0.01) for name, draws in outcomes[1].replicates.items()}
    odd = [outcomes[0], replace(outcomes[1], replicates=others), replace(outcomes[2], people=None)]
    table = read(written(tmp_path, odd, facts()))
    assert [cell.is_valid for cell in table.column("replicates.rank1_worst")] == [False, True, True]
    np.testing.assert_array_equal(objective_replicates(table, OBJECTIVES), draws_of(odd))


def test_the_tables_are_those_of_a_ledger_with_replicates_and_the_ledger_is_smaller(
    tmp_path: Path, outcomes: list[Scores]
) -> None:
    lean = written(tmp_path / "lean", outcomes, facts())
    full = written(tmp_path / "full", [replace(one, people=None) for one in outcomes], without_people(facts()))
    fronts = [write_tables(path, facts(), path.parent) for path in (lean, full)]
    assert fronts[0] == fronts[1] and any(0 < one["front_probability"] < 1 for one in fronts[0])
    for name in ("trials.parquet", "front.parquet"):
        tables = [pq.read_table(path.parent / name) for path in (lean, full)]
        assert tables[0].equals(tables[1]) and tables[0].schema.metadata == tables[1].schema.metadata
        assert "people" not in json.loads(tables[0].schema.metadata[b"sweep"])["panel"]
    sizes = []
    for path in (lean, full):
        with Ledger.open(path) as ledger:
            before = path.stat().st_size
            ledger.append(
                row(99, "blur", {"kernel": 45}, outcomes[1] if path == lean else replace(outcomes[1], people=None))
            )
            sizes.append(path.stat().st_size - before)
    assert sizes[0] < 0.6 * sizes[1]


def test_a_ledger_of_the_fourth_version_is_read(tmp_path: Path, outcomes: list[Scores]) -> None:
    sweep = without_people(facts())
    now = ledger_schema(sweep)
    metadata = {key: value for key, value in now.metadata.items() if key != NAMES} | {b"version": b"4"}
    before = pa.schema([field for field in now if field.name not in (PEOPLE, STRETCHED)], metadata=metadata)
    path = tmp_path / "ledger.arrow"
    rows = [flat(one | {"scores": replace(one["scores"], people=None)}) for one in rows_of(outcomes)]
    batches = [batch_of(one, now).select(before.names).replace_schema_metadata(metadata) for one in rows]
    path.write_bytes(schema_message(before) + b"".join(map(batch_message, batches)))
    np.testing.assert_array_equal(objective_replicates(read(path), OBJECTIVES), draws_of(outcomes))
    assert write_tables(path, sweep, tmp_path)[0]["front_probability"] > 0
