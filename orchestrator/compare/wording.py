"""What the terminal is told of several sweeps, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from orchestrator.compare.sweeps import Swept, attained, attainment, hypervolumes, side_by_side
from orchestrator.records.wording import name_of, number, with_interval


def tables(sweeps: Sequence[Swept]) -> list[Table]:
    """Lay out fronts, hypervolumes, attainment, and the empirical attainment where sweeps share a name."""
    laid = [_fronts(sweeps), _volumes(sweeps), _attainment(sweeps)]
    return [*laid, _attained(sweeps)] if attained(sweeps) else laid


def _fronts(sweeps: Sequence[Swept]) -> Table:
    table = Table(title="Fronts side by side, anchors aside", title_justify="left")
    for name in ("sweep", "configuration"):
        table.add_column(name, overflow="fold")
    for name in (*sweeps[0].objectives, "dominated by (share of replicates)"):
        table.add_column(name, justify="right", overflow="fold")
    for one in side_by_side(sweeps):
        row = one["row"]
        by = ", ".join(f"{label} ({number(share)})" for label, share in one["by"].items())
        cells = [one["label"], f"{name_of(row)} ({row['trial']})"]
        cells += [*(with_interval(row, name) for name in sweeps[0].objectives), by or "–"]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _volumes(sweeps: Sequence[Swept]) -> Table:
    table = Table(title="Hypervolume, with 95 % intervals over people", title_justify="left")
    table.add_column("sweep", overflow="fold")
    for name in ("configurations on the front", "hypervolume", "95 % interval"):
        table.add_column(name, justify="right")
    for one in hypervolumes(sweeps):
        interval = f"[{number(one['low'])}, {number(one['high'])}]"
        table.add_row(Text(one["label"]), str(one["trials"]), number(one["hypervolume"]), Text(interval))
    return table


def _attainment(sweeps: Sequence[Swept]) -> Table:
    table = Table(title="What a front attains, and another does not", title_justify="left")
    for name in ("front", "beside"):
        table.add_column(name, overflow="fold")
    for name in ("dominated by the other", "volume attained alone", "hypervolume less its", "larger in"):
        table.add_column(name, justify="right")
    for one in attainment(sweeps):
        table.add_row(
            Text(one["label"]),
            Text(one["other"]),
            f"{one['dominated']} of {one['of']}",
            Text(f"{number(one['alone'])} [{number(one['low'])}, {number(one['high'])}]"),
            Text(f"{number(one['difference'])} [{number(one['difference_low'])}, {number(one['difference_high'])}]"),
            number(one["larger"]),
        )
    return table


def _attained(sweeps: Sequence[Swept]) -> Table:
    table = Table(title="Empirical attainment of sweeps of one name", title_justify="left")
    table.add_column("name", overflow="fold")
    for name in ("sweeps", "level", "hypervolume"):
        table.add_column(name, justify="right")
    table.add_column(f"surface ({', '.join(sweeps[0].objectives)})", overflow="fold")
    for one in attained(sweeps):
        surface = " ".join(f"({', '.join(number(float(value)) for value in point)})" for point in one["points"])
        table.add_row(Text(one["name"]), str(one["sweeps"]), one["level"], number(one["hypervolume"]), Text(surface))
    return table
