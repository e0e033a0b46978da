"""Earlier: rows of an earlier sweep on the same faces, which this one starts from and need not measure again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import LEDGER
from orchestrator.records.ledger import read
from orchestrator.records.trials import EVENTS, TAKEN_FROM, rows_of
from orchestrator.search.folder import check_same

COMPARABLE = ("--attacker", "--publish")
"""Options that decide what a row's numbers mean; space, sampler and objectives may be others."""


def check_earlier(results: Path) -> Path:
    """Return the ledger of an earlier sweep.

    Raises:
        ValueError: if there is none.
    """
    if not (results / LEDGER).is_file():
        raise ValueError(f"--warm-start: expected a results folder with {LEDGER}, {results} has none")
    return results / LEDGER


def rows_before(results: Path, now: Mapping[str, Any], needed: Sequence[str]) -> list[dict[str, Any]]:
    """Read the complete rows of an earlier sweep, in the order of their trials.

    Args:
        results: its folder.
        now: facts of the sweep that starts: options, code, versions, models, protocol and objectives.
        needed: metrics that a row must have, such as what is constrained.

    Returns:
        Rows as the ledger takes them, each with `taken_from`: the name of that sweep and the trial's number.

    Raises:
        ValueError: if there is no sweep, or its numbers do not compare with those of this one; the sentence says why.
    """
    table = read(check_earlier(results))
    before = sweep_of(table)
    check_same(before, {"protocol": now["protocol"]}, option="--warm-start")  # other faces change all that follows
    options = {name: now["options"][name] for name in COMPARABLE}
    check_same(before, {**now, "options": options}, option="--warm-start")
    if missing := [name for name in now["objectives"] if name not in before["objectives"]]:
        raise ValueError(
            f"--warm-start: expected a sweep that was for {', '.join(missing)} too, {results} was for "
            f"{', '.join(before['objectives'])}, and has no draws of people for others"
        )
    ended = [row for row in rows_of(table) if row["status"] not in EVENTS]
    return [
        {**row, TAKEN_FROM: f"{before['name']}: trial {row['trial']}"}
        for row in sorted(ended, key=lambda row: int(row["trial"]))
        if row["status"] == "complete" and all(row["scores"].values[name] is not None for name in needed)
    ]
