"""The terminal: its width, errors in one sentence, a count of what is done, options from fields."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
LINES = 10
"""Lines that a log gets of a whole count."""
WIDTH = 140
"""Columns of a table in a file or a pipe, which needs no fitting into 80."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def make_console() -> Console:
    """Make the console of a command: as wide as the terminal, or as WIDTH where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


@contextmanager
def sentences(*, machine: tuple[type[Exception], ...] = (OSError,), interrupted: str = "interrupted") -> Iterator[None]:
    """Say in one sentence on stderr what was wrong, and exit: with 2 where the input was, with 1 where the machine was.

    Args:
        machine: errors that are no fault of the input.
        interrupted: what is said after Ctrl-C, which exits with INTERRUPTED.
    """
    try:
        yield
    except typer.Exit:  # a RuntimeError too
        raise
    except ValueError as error:
        errors.print("error:", str(error), style="red", markup=False)
        raise typer.Exit(2) from None
    except machine as error:
        errors.print("error:", str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        errors.print(interrupted, markup=False)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def counted(
    console: Console, name: str, *, total: int | None = None, unit: int = 1
) -> Iterator[Callable[[int, int | None], None]]:
    """Show how far something is.

    Args:
        console: on which it is drawn, if it is a terminal.
        name: what is counted.
        total: how many there will be, if known.
        unit: how many make one of what is shown, e.g. bytes per MiB.

    Yields:
        a function of (done, total).
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(console, name, unit)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(name, total=total and total // unit)
        yield lambda done, of: bar.update(
            task, completed=done // unit, total=None if of is None else max(1, of // unit)
        )


class _Lines:
    """Print a line at each tenth."""

    def __init__(self, console: Console, name: str, unit: int) -> None:
        self._console, self._name, self._unit = console, name, unit
        self._tenth = -1
        self._started, self._first = time.monotonic(), 0

    def __call__(self, done: int, total: int | None) -> None:
        if self._tenth < 0:
            self._first = done
        tenth = LINES * done // total if total else 0
        if tenth > self._tenth:
            self._tenth = tenth
            of = f" of {total // self._unit}" if total else ""
            rate = (done - self._first) / self._unit / max(time.monotonic() - self._started, 1e-9)
            text = f"{self._name}: {done // self._unit}{of}, {rate:.0f} per second"
            self._console.print(text, markup=False, soft_wrap=True)
