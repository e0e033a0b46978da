"""What the terminal shows at the end of a sweep: the front as a table that fits, and what to do with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.style import Style
from rich.table import Table
from rich.text import Text

from evaluators.attackers import ATTACKERS
from orchestrator.records.trials import FEASIBLE, Row
from orchestrator.records.wording import ANCHORS, name_of, number, strongest, with_interval

HEAD = 14
"""Letters of a line of a column's head; names of metrics are longer, and break at their underscores."""
GAP = 2
"""Columns between two columns."""
NAME, LONG_NAME = 14, 40
"""Columns that the name of a configuration needs at least, and those that it gets before intervals are set below."""


def front_line(front: Sequence[Row], rows: Sequence[Row], protocol: Mapping[str, Any]) -> str:
    """Say in one line how large the front is, and on whom it was measured.

    Args:
        front: its flat rows.
        rows: those of every trial.
        protocol: what the faces say of themselves.
    """
    broken = sum(row.get(FEASIBLE) is False for row in rows)
    if not front and broken:
        return f"No front: no trial of {len(rows)} is complete and keeps the constraints, which {broken} broke."
    if not front:
        return f"No front: none of {len(rows)} trials is complete."
    own = sum(row["method"] not in ANCHORS for row in front)
    tried = sum(row["method"] not in ANCHORS for row in rows)
    measured = front[0]
    on = f"{measured['n_people']} people, {measured['n_probe']} probes, chance {number(measured['chance_rank1'])}"
    anchors = ", and the anchors that bound it" if len(front) > own else ""
    kept = f"; constraints broken by {broken} of {len(rows)} trials" if broken else ""
    return f"The front: {own} of {tried} configurations{anchors}; on {protocol['name']}, {on}{kept}"


def front_table(rows: Sequence[Row], objectives: Mapping[str, str], width: int) -> Table:
    """Lay out the front for the terminal; nothing in it is cut.

    Args:
        rows: flat rows of the front, with `front_probability`.
        objectives: metric name -> "min" or "max".
        width: columns that there are. Where they are few, intervals stand below their values, and further columns
            stay out.

    Returns:
        One line per configuration: trial, name, objectives with intervals, strongest attacker, front probability.
    """
    names = [name_of(row) for row in rows]
    cells = {name: [with_interval(row, name) for row in rows] for name in objectives}
    further = {
        "strongest attacker": [strongest(row, ATTACKERS) or "–" for row in rows],
        "front probability": [number(row.get("front_probability")) for row in rows],
    }
    below = {name: [cell.replace(" ", "\n", 1) for cell in column] for name, column in cells.items()}
    for kept in (tuple(further), ("front probability",), ()):
        for measured, least in ((cells, min(max(map(len, names), default=NAME), LONG_NAME)), (below, NAME)):
            columns = measured | {name: further[name] for name in kept}
            heads = {name: broken(f"{name} ({objectives[name]})" if name in objectives else name) for name in columns}
            sizes = [_wide([heads[name], *column]) for name, column in columns.items()]
            if width - len("trial") - sum(sizes) - GAP * (len(columns) + 1) >= least:
                return _table(rows, names, columns, heads)
    return _table(rows, names, below, {name: broken(f"{name} ({way})") for name, way in objectives.items()})


def next_steps(folder: Path, front: Sequence[Row]) -> list[Text]:
    """Say what was left where, the report as a link, and what to do next."""
    report = folder / "report.html"
    link = Text.assemble("report:  ", (str(report), Style(link=report.resolve().as_uri())))
    lines = [link, Text(f"tables:  {folder / 'front.parquet'}, {folder / 'trials.parquet'}")]
    place = shlex.quote(str(folder))
    if front:
        lines.append(Text(f"next:    python -m orchestrator.verify {place}   measures this front on other people"))
    own = [str(row["trial"]) for row in front if row["method"] not in ANCHORS][:2]
    if len(own) == 2:
        lines.append(
            Text(f"         python -m orchestrator.compare {place} {' '.join(own)}   the interval of a difference")
        )
    return lines


def broken(name: str) -> str:
    """Break a column's head into lines of at most HEAD letters, if it can be."""
    parts = name.replace("_", "_\0").replace(" ", " \0").split("\0")
    lines = [""]
    for part in parts:
        if len(lines[-1] + part.rstrip()) > HEAD and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _wide(cells: Sequence[str]) -> int:
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _table(
    rows: Sequence[Row], names: Sequence[str], columns: Mapping[str, Sequence[str]], heads: Mapping[str, str]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for name in columns:
        table.add_column(heads[name], justify="right", overflow="fold", min_width=_wide([heads[name], *columns[name]]))
    for place, row in enumerate(rows):
        # Text, not str: brackets of an interval or a name are no markup.
        cells = (str(row["trial"]), names[place], *(column[place] for column in columns.values()))
        table.add_row(*(Text(cell) for cell in cells))
    return table
