"""What the terminal is told of a verification: search and verification side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from evaluators.attackers import ATTACKERS
from orchestrator.records.trials import Row
from orchestrator.records.wording import name_of, number, strongest, with_interval


def difference_line(before: Sequence[Row], after: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """Say what besides the draws differs between search and verification: people, gallery, chance, shared pictures."""

    def told(rows: Sequence[Row]) -> str:
        row = next((row for row in rows if row.get("n_people")), {})
        return (
            f"{row.get('n_people')} people, gallery of {row.get('n_gallery')}, chance {number(row.get('chance_rank1'))}"
        )

    line = f"search: {told(before)}; verified: {told(after)}."
    if facts["protocol"]["name"] != "demo":
        line += (
            " Both splits are drawn from the same folder: people and pictures of the search are among those of the "
            "verification, in other roles."
        )
    return line


def side_by_side(before: Sequence[Row], after: Sequence[Row], objectives: Mapping[str, str]) -> Table:
    """Lay out what the search had measured and what the verification has."""
    stayed = sum(bool(row["on_front"]) for row in after)
    people = [next((row["n_people"] for row in rows if row["n_people"]), 0) for rows in (before, after)]
    title = (
        f"Verified: {stayed} of {len(after)} configurations stay on the front; {people[1]} people, search {people[0]}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("configuration", overflow="fold", min_width=18)
    for name in objectives:
        table.add_column(f"{name}: search", justify="right")
        table.add_column("verified", justify="right")
    for name in ("strongest attacker", "rank1_fixed", "on_front"):
        table.add_column(name, justify="right")
    for old, new in zip(before, after, strict=True):
        cells = [name_of(old)]
        for name in objectives:
            cells += [with_interval(old, name), with_interval(new, name)]
        cells += [strongest(new, ATTACKERS), with_interval(new, "rank1_fixed"), "yes" if new["on_front"] else "no"]
        table.add_row(*(Text(cell) for cell in cells))
    return table
