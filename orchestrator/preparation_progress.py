"""What the terminal shows of a preparation: a bar, or plain lines where nobody watches; and the summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from orchestrator.faces_file import FACES, REJECTED

LINES = 10
"""Lines that a log gets of a whole preparation."""


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


def print_summary(facts: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Say what came of every picture.

    Args:
        facts: as the set's metadata have them.
        folder: of the set.
        console: to print on.
    """
    lines = [
        f"{facts['name']}: {facts['plan']['source']['pictures']} pictures, "
        f"{facts['n_faces']} faces of {facts['n_people']} people",
        *(f"  rejected, {reason}: {count}" for reason, count in facts["rejected_reasons"].items()),
    ]
    if facts["n_several_faces"]:
        lines.append(f"  several faces, of which the main one was taken: {facts['n_several_faces']}")
    if facts["n_repeated"]:
        lines.append(f"  repeat a picture of the same person; no split puts these on two sides: {facts['n_repeated']}")
    lines += [f"  ignored, {what}: {count}" for what, count in facts["ignored"].items()]
    if facts["no_split"]:
        lines.append(f"  cannot serve as --data of a search: {facts['no_split'].removeprefix('--data: ')}")
    size = (folder / FACES).stat().st_size
    lines.append(f"{folder}/{FACES} ({size / 1e6:,.0f} MB), {REJECTED}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
