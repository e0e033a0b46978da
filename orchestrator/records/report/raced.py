"""What the report says of trials that were stopped early: how many, why, and what the audit found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from orchestrator.records.report.drawing import MOST_DRAWN
from orchestrator.records.report.page import name_cell, table_block, text_cell
from orchestrator.records.trials import STOPPED, Row
from orchestrator.records.wording import racing_line, with_interval


def raced_block(rows: Sequence[Row], front: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Write what was known of the trials that were stopped, and why they were; empty where none was.

    Args:
        rows: flat rows of every trial.
        front: those on the front.
        objectives: metric name -> "min" or "max".
    """
    line = racing_line(rows, front)
    if not line:
        return ""
    stopped = [row for row in rows if row["status"] == "stopped"]
    shown = stopped[-MOST_DRAWN:]
    fewer = "" if len(shown) == len(stopped) else f" The last {MOST_DRAWN} stand here, trials.parquet has all."
    lead = (
        f"<p class='lead'>{text_cell(line)} A trial is measured in stages, and stopped where finished ones are better "
        "than it can still become: on the people who are measured, and in 95 % of the draws of them. The values are "
        "those that it had by then; the rate of the strongest attacker would be at least what stands here, so that it "
        f"is in no figure.{fewer}</p>"
    )
    body = []
    for row in shown:
        why = json.loads(row[STOPPED])
        by = ", ".join(map(str, why["by"]))
        body.append([str(row["trial"]), name_cell(row), why["stage"], by, *(with_interval(row, m) for m in objectives)])
    return lead + table_block(["trial", "configuration", "stopped after", "dominated by", *objectives], body, 4)
