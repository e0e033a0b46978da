"""What the terminal shows of a sweep: a live panel, or plain lines where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.records.trials import Row, flat
from orchestrator.records.wording import KEY_COLUMNS, measured_columns, name_of, number, with_interval

RECENT = 6
"""Finished trials that the live panel lists."""


class Progress(Protocol):
    """Follow a sweep; a context manager that leaves the terminal as it was."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, sweep: Mapping[str, Any], total: int) -> None:
        """Learn what is coming.

        Args:
            sweep: facts about the sweep; `name` and `objectives` are used.
            total: number of trials, anchors included.
        """
        ...

    def trial_done(
        self,
        row: Mapping[str, Any],
        *,
        done: int,
        total: int,
        running: int,
        failures: int,
        front_size: int,
        hypervolume: float,
        faces_per_second: float,
    ) -> None:
        """Learn that a trial has ended.

        Args:
            row: as the ledger takes it.
            done: trials that have ended, of `total`; `failures` of them failed.
            total: number of trials, anchors included.
            running: trials under way.
            failures: trials that failed.
            front_size: rows on the front.
            hypervolume: of the front.
            faces_per_second: anonymized and measured, since the start.
        """
        ...

    def finish(self) -> None:
        """Learn that nothing more comes; a second call does nothing."""
        ...


class _Ending:
    """End with `finish` on leaving the context, however it is left."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Do nothing."""


class PlainProgress(_Ending):
    """Print one line per finished trial."""

    def __init__(self, console: Console) -> None:
        """Print to a console."""
        self._console = console
        self._objectives: list[str] = []

    def __enter__(self) -> PlainProgress:
        return self

    def start(self, sweep: Mapping[str, Any], total: int) -> None:
        """See `Progress`."""
        self._objectives = list(sweep["objectives"])
        self._print(f"{sweep['name']}: {total} trials, objectives {', '.join(self._objectives)}")

    def trial_done(
        self,
        row: Mapping[str, Any],
        *,
        done: int,
        total: int,
        running: int,
        failures: int,
        front_size: int,
        hypervolume: float,
        faces_per_second: float,
    ) -> None:
        """See `Progress`."""
        self._print(f"[{done:>{len(str(total))}}/{total}] {trial_line(row, self._objectives)}")

    def _print(self, line: str) -> None:
        # An error's text may hold brackets that look like markup, and a log file has no width to wrap at.
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveProgress(_Ending):
    """Show a panel that is drawn anew as trials end."""

    def __init__(self, console: Console) -> None:
        """Draw on a console that is a terminal."""
        self._console = console
        self._name = ""
        self._objectives: list[str] = []
        self._counts: dict[str, Any] = {}
        self._recent: list[str] = []
        self._started = time.monotonic()
        self._total = 0
        self._replayed: int | None = None
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._panel)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def start(self, sweep: Mapping[str, Any], total: int) -> None:
        """See `Progress`."""
        self._name, self._objectives, self._total = sweep["name"], list(sweep["objectives"]), total
        self._started = time.monotonic()
        self._live.refresh()

    def trial_done(
        self,
        row: Mapping[str, Any],
        *,
        done: int,
        total: int,
        running: int,
        failures: int,
        front_size: int,
        hypervolume: float,
        faces_per_second: float,
    ) -> None:
        """See `Progress`."""
        if self._replayed is None:
            # A resumed sweep starts with trials that cost no time; they say nothing about the time left.
            self._replayed = done - 1
        self._total = total
        self._counts = {
            "done": done,
            "running": running,
            "failures": failures,
            "front": front_size,
            "hypervolume": number(float(hypervolume)),
            "faces/s": f"{faces_per_second:.0f}",
        }
        self._recent = [*self._recent, trial_line(row, self._objectives)][-RECENT:]

    def finish(self) -> None:
        """See `Progress`."""
        self._live.stop()

    def _panel(self) -> Panel:
        """Draw the state of the sweep."""
        done = self._counts.get("done", 0)
        elapsed = time.monotonic() - self._started
        fresh = done - (self._replayed or 0)
        left = elapsed / fresh * (self._total - done) if fresh > 0 else None
        counts = [f"{done}/{self._total} trials", *(f"{v} {k}" for k, v in self._counts.items() if k != "done")]
        times = f"{_duration(elapsed)} elapsed, {_duration(left)} left"
        lines = Table.grid(expand=True)
        lines.add_row(ProgressBar(total=max(self._total, 1), completed=done))
        lines.add_row(Text(" · ".join([*counts, times])))
        for line in self._recent:
            lines.add_row(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
        return Panel(lines, title=Text(self._name), title_align="left")


def make_progress(console: Console) -> Progress:
    """Return the live panel if the console is a terminal that can be drawn on, else plain lines."""
    return LiveProgress(console) if console.is_terminal and not console.is_dumb_terminal else PlainProgress(console)


def trial_line(row: Mapping[str, Any], objectives: Sequence[str]) -> str:
    """Say in one line what came of a trial.

    Args:
        row: as the ledger takes it.
        objectives: metrics to show with their intervals.
    """
    columns = flat(row)
    name = name_of(columns)
    if row["status"] == "failed":
        outcome = [f"failed: {' '.join(row['error'].split())}"]
    else:
        outcome = [f"{metric} {with_interval(columns, metric)}" for metric in objectives]
    return "  ".join([name, *outcome, f"{row['seconds']:.1f} s"])


def front_table(rows: Sequence[Row], objectives: Mapping[str, str]) -> Table:
    """Lay out the front for the terminal.

    Args:
        rows: flat rows of the front, with `front_probability`.
        objectives: metric name -> "min" or "max".

    Returns:
        One line per configuration: objectives with intervals, further attackers and realism, front probability.
    """
    table = Table(title=f"The front: {len(rows)} configurations", title_justify="left")
    table.add_column("configuration", overflow="fold", min_width=18)
    further = measured_columns(rows, (name for name in KEY_COLUMNS if name not in objectives))
    for name, way in objectives.items():
        table.add_column(f"{name} ({way})", justify="right", min_width=20)
    for name in (*further, "front_probability"):
        table.add_column(name, justify="right")
    for row in rows:
        measured = [with_interval(row, name) for name in objectives]
        others = [number(row.get(name)) for name in (*further, "front_probability")]
        # Text, not str: brackets of an interval or a name are no markup.
        name = name_of(row)
        table.add_row(*(Text(cell) for cell in (name, *measured, *others)))
    return table


def _duration(seconds: float | None) -> str:
    """Write a time as h:mm:ss."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
