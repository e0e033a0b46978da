"""Read a study: files of answers become tables, beside what the sweep measured, and what the terminal is told."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import LEDGER, check_results, replace_file
from orchestrator.records.ledger import read
from orchestrator.records.trials import Row, trial_rows
from orchestrator.records.wording import number, with_interval
from orchestrator.study.answers import answer_rows, read_answers
from orchestrator.study.key import read_key
from orchestrator.study.options import FOLDER
from orchestrator.study.tables import correlations, people_table

ANSWERS, PEOPLE, CORRELATIONS = "answers.parquet", "people.parquet", "correlations.parquet"
SHOWN = {
    "people_expression": "expression",
    "people_expression_fleiss": "their kappa",
    "people_same": "same person",
    "people_same_d_prime": "d'",
    "people_same_fleiss": "their kappa",
}
"""Columns that the terminal shows, and how it heads them."""
TOLD = ("expression_kept", "expression_kappa_", "expression_r2_", "rank1_")
"""How the columns begin whose correlation the terminal shows; the table has every one."""


def reading(paths: Sequence[Path], results: Path, study: Path | None, console: Console) -> list[str]:
    """Turn files of answers into tables, and print them.

    Args:
        paths: of the files.
        results: folder of the sweep.
        study: folder of the study; None for the one in the results folder.
        console: is told of the tables.

    Returns:
        Of each file that is left out why, a sentence.

    Raises:
        ValueError: if there is no such study, it is of another sweep, or no file is an answer to it.
    """
    check_results(results, LEDGER)
    folder = study or results / FOLDER
    key = read_key(folder)
    table = read(results / LEDGER)
    sweep = sweep_of(table)
    trials = trial_rows(table)
    known = {row["trial"]: row["anonymizer"] for row in trials}
    if sweep["protocol"]["digest"] != key["protocol"] or any(
        known.get(one["trial"]) != one["anonymizer"] for one in key["configurations"]
    ):
        raise ValueError(
            f"--results: expected the sweep that the study in {folder} was made of, {key['sweep']}, {results} holds "
            f"another one; name its folder"
        )
    sheets, said = read_answers(paths, key)
    answers = answer_rows(sheets, key)
    people = people_table(answers, key)
    correlated = correlations(answers, key, trials)
    facts = {name: key[name] for name in ("study", "sweep", "protocol", "truth_by", "classes")}
    for name, rows in ((ANSWERS, answers), (PEOPLE, people), (CORRELATIONS, correlated)):
        _write(folder / name, rows, facts)
    console.print(_people(people, sweep["objectives"], {row["trial"]: row for row in trials}))
    console.print(_correlations(correlated))
    chance = number(1 / len(key["classes"]))
    console.print(
        f"{len(sheets)} participants, {len(answers)} answers. By chance {chance} of expressions are right, 0.500 of "
        "pairs, and d' is 0; the true expression of a face is "
        + ("its label." if key["truth_by"] == "labels" else f"the word of {key['truth_by']} on the clear one."),
        markup=False,
        soft_wrap=True,
    )
    console.print(f"{folder}/{ANSWERS}, {PEOPLE}, {CORRELATIONS}", markup=False, soft_wrap=True)
    return said


def _write(path: Path, rows: Sequence[Row], facts: Mapping[str, Any]) -> None:
    """Write rows as a table, with the facts in its metadata under the key `study`."""
    names = list(rows[0]) if rows else ["people", "column"]
    columns = {name: pa.array([row[name] for row in rows]) for name in names}
    # A column of which nothing is known is one of numbers all the same.
    columns = {name: c.cast(pa.float64()) if pa.types.is_null(c.type) else c for name, c in columns.items()}
    table = pa.table(columns).replace_schema_metadata({"study": json.dumps(facts, allow_nan=False)})
    replace_file(path, functools.partial(pq.write_table, table, compression="zstd"))


def _people(people: Sequence[Row], objectives: Mapping[str, str], trials: Mapping[int, Row]) -> Table:
    table = Table(title="What people see, with 95 % intervals over participants", title_justify="left")
    table.add_column("configuration", overflow="fold", min_width=16)
    for name in SHOWN.values():
        table.add_column(name, justify="right", overflow="fold", min_width=14)
    for name in objectives:
        table.add_column(name, justify="right")
    for row in people:
        answered = [with_interval(row, name).replace(" [", "\n[") for name in SHOWN]
        measured = [number(trials[row["trial"]][name]) for name in objectives]
        table.add_row(*(Text(cell) for cell in (f"{row['configuration']} ({row['trial']})", *answered, *measured)))
    return table


def _correlations(correlated: Sequence[Row]) -> Table:
    table = Table(title="People beside readers and attackers, over the configurations", title_justify="left")
    for name in ("people", "column"):
        table.add_column(name, overflow="fold")
    for name in ("configurations", "kendall", "spearman"):
        table.add_column(name, justify="right")
    for row in (row for row in correlated if row["column"].startswith(TOLD)):
        table.add_row(
            row["people"],
            row["column"],
            str(row["configurations"]),
            *(Text(with_interval(row, name)) for name in ("kendall", "spearman")),
        )
    return table
