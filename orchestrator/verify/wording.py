"""What the terminal is told of a verification: search and verification side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from evaluators.attackers import ATTACKERS
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, name_of, number, strongest, with_interval


def difference_line(before: Sequence[Row], after: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """Say what besides the draws differs between search and verification: people, gallery, chance, whom both had."""

    def told(rows: Sequence[Row]) -> str:
        row = next((row for row in rows if row.get("n_people")), {})
        return (
            f"{row.get('n_people')} people, gallery of {row.get('n_gallery')}, chance {number(row.get('chance_rank1'))}"
        )

    return f"search: {told(before)}; verified: {told(after)}. {overlap_line(facts['verified'].get('overlap'))}"


def overlap_line(shared: Mapping[str, Any] | None) -> str:
    """Say how many of the people and pictures that were verified on the search had, and as what.

    Args:
        shared: of `evaluators.datasets.overlap`; None where the search did not write down whom it had.
    """
    if shared is None:
        return "Which of these people the search had is not known: it was made before searches wrote that down."
    people, pictures = shared["people"], shared["pictures"]
    if not any((*people.values(), *pictures.values())):
        return f"The search had none of these {shared['n_people']} people, and none of their pictures."
    roles = {"evaluation": "evaluated", "attacker": "with its attackers", "background": "in its background"}
    had = ", ".join(f"{count} {roles[side]}" for side, count in people.items() if count)
    seen = ", ".join(f"{count} as {role}" for role, count in pictures.items() if count)
    return (
        f"Of these {shared['n_people']} people the search had {sum(people.values())}{f' ({had})' if had else ''}, "
        f"of their {shared['n_pictures']} pictures {sum(pictures.values())}{f' ({seen})' if seen else ''}."
    )


def curse_and_gap(before: Sequence[Row], after: Sequence[Row], searching: Sequence[str]) -> tuple[float, float]:
    """Split what a front, anchors aside, loses by its verification into two means.

    Args:
        before, after: configurations as the search measured them, and as they were measured again, in one order.
        searching: attackers of the search.

    Returns:
        The winner's curse, by how much rank-1 of the strongest of the search's attackers is higher on fresh draws than
        the search found it, as the best of many noisy draws looks better than it is; and the attacker gap, by how much
        the strongest of all attackers is above the strongest of the search's on the same draws.
    """
    curses, gaps = [], []
    for old, new in zip(before, after, strict=True):
        rates = [rate for name in searching if (rate := new.get(f"rank1_{name}")) is not None]
        if old.get("method") in ANCHORS or not rates or old["rank1_worst"] is None or new["rank1_worst"] is None:
            continue
        curses.append(max(rates) - old["rank1_worst"])
        gaps.append(new["rank1_worst"] - max(rates))
    count = max(1, len(curses))
    return sum(curses) / count, sum(gaps) / count


def gap_line(before: Sequence[Row], after: Sequence[Row], searching: Sequence[str]) -> str:
    """Say how much of the search's privacy was luck, and how much its attackers missed."""
    curse, gap = curse_and_gap(before, after, searching)
    return (
        f"rank1_worst, mean over the front: winner's curse {curse:+.3f} (the search's attackers, fresh draws less the "
        f"search's), attacker gap {gap:+.3f} (all attackers less the search's, same draws)."
    )


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
