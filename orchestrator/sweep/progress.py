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

from anonymizers import Anonymizer
from orchestrator.records.trials import Row, flat
from orchestrator.records.wording import ANCHORS, name_of, number, with_interval

MOST_RUNNING = 6
"""Running trials that the live panel lists."""


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

    def trial_starts(self, trial: int, anonymizer: Anonymizer) -> None:
        """Learn that a panel begins to work on a configuration, perhaps not for the first time."""
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

    def trial_starts(self, trial: int, anonymizer: Anonymizer) -> None:
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
        self._objectives: dict[str, str] = {}
        self._counts: dict[str, Any] = {}
        self._running: dict[int, tuple[str, float]] = {}
        self._best: dict[str, tuple[float, str]] = {}
        self._started = time.monotonic()
        self._total = 0
        self._replayed: int | None = None
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._panel)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def start(self, sweep: Mapping[str, Any], total: int) -> None:
        """See `Progress`."""
        self._name, self._objectives, self._total = sweep["name"], dict(sweep["objectives"]), total
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
            "failures": failures,
            "on the front": front_size,
            "hypervolume": number(float(hypervolume)),
            "faces/s": f"{faces_per_second:.0f}",
        }
        self._running.pop(row["trial"], None)
        self._keep_best(flat(row))
        # Above what is drawn anew, so that the list of trials stays.
        self._console.print(
            f"[{done:>{len(str(total))}}/{total}] {trial_line(row, list(self._objectives))}",
            markup=False,
            highlight=False,
        )

    def trial_starts(self, trial: int, anonymizer: Anonymizer) -> None:
        """See `Progress`."""
        self._running[trial] = (repr(anonymizer), time.monotonic())

    def _keep_best(self, row: Row) -> None:
        """Remember the best value of each objective; the anchors are the best in one by definition."""
        if row["method"] in ANCHORS or row["status"] != "complete":
            return
        for name, way in self._objectives.items():
            value = row.get(name)
            if value is None:
                continue
            known = self._best.get(name)
            if known is None or (value < known[0] if way == "min" else value > known[0]):
                self._best[name] = (value, name_of(row))

    def finish(self) -> None:
        """See `Progress`."""
        self._live.stop()

    def _panel(self) -> Panel:
        """Draw the state of the sweep."""
        done = self._counts.get("done", 0)
        elapsed = time.monotonic() - self._started
        fresh = done - (self._replayed or 0)
        left = elapsed / fresh * (self._total - done) if fresh > 0 else None
        counts = [
            f"{done}/{self._total} trials",
            f"{len(self._running)} running",
            *(f"{v} {k}" for k, v in self._counts.items() if k != "done"),
        ]
        times = f"{_duration(elapsed)} elapsed, {_duration(left)} left"
        lines = Table.grid(expand=True)
        lines.add_row(ProgressBar(total=max(self._total, 1), completed=done))
        lines.add_row(Text(" · ".join([*counts, times])))
        for name, (value, who) in self._best.items():
            lines.add_row(Text(f"best {name} so far: {number(value)} by {who}", no_wrap=True, overflow="ellipsis"))
        now = time.monotonic()
        for trial, (what, since) in list(self._running.items())[:MOST_RUNNING]:
            text = f"running: trial {trial}, {what}, {_duration(now - since)}"
            lines.add_row(Text(text, style="dim", no_wrap=True, overflow="ellipsis"))
        if (more := len(self._running) - MOST_RUNNING) > 0:
            lines.add_row(Text(f"and {more} more", style="dim"))
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
        if row["status"] == "stopped":
            outcome.insert(0, f"stopped after {row['scores'].stage}, dominated:")
    return "  ".join([name, *outcome, f"{row['seconds']:.1f} s"])


def _duration(seconds: float | None) -> str:
    """Write a time as h:mm:ss."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
