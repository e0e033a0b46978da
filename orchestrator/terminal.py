"""The terminal: its width, errors in one sentence, a count of what is done, options from fields."""

from __future__ import annotations

import dataclasses
import errno
import functools
import inspect
import io
import os
import signal
import sys
import threading
import time
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evaluators.options import check_values, flag_of, options_in

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
LINES = 10
"""Lines that a log gets of a whole count."""
WIDTH = 140
"""Columns of a table in a file or a pipe, which needs no fitting into 80."""


class _Enduring(io.TextIOBase):
    """Write to a standard stream as long as it lasts: a pipe whose reader has gone ends the words, not the work."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _stream(self) -> Any:
        stream = getattr(sys, self._name)
        # What Rich's live panel puts in the place of standard output leads back to the console that writes here.
        return getattr(stream, "rich_proxied_file", stream) if self._name == "stdout" else stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())

    def fileno(self) -> int:
        return -1 if self._stream is None else int(self._stream.fileno())

    def write(self, text: str) -> int:
        stream = self._stream
        if stream is not None:
            coded = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._try(lambda: stream.write(coded))
        return len(text)

    def flush(self) -> None:
        stream = self._stream
        if stream is not None and not getattr(stream, "closed", False):
            self._try(stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            # From here on, what is written goes nowhere, and Python's own last flush finds no fault.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno != errno.EPIPE and self._name == "stdout":
                LOST.add(self._name)
                errors.print("standard output:", f"{error.strerror}; goes on without it", markup=False)


LOST: set[str] = set()
"""Standard streams that were closed, or could not be written."""

# What users name may look like an emoji's name between colons.
errors = Console(file=cast(IO[str], _Enduring("stderr")), highlight=False, soft_wrap=True, emoji=False)


def run_app(app: typer.Typer) -> None:
    """Run a command line; its help too is written in letters that the stream has, or the loss is told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except OSError as error:  # of a help page; commands have sentences of their own
        errors.print("error: standard output:", error.strerror or str(error), style="red", markup=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's own last flush
        raise SystemExit(1) from None


def delivered() -> None:
    """End with 1 where the words that are all a command makes went nowhere, other than into a pipe that was closed."""
    if "closed" in LOST:
        errors.print("error: standard output is closed, and nothing was told", style="red", markup=False)
    if LOST & {"closed", "stdout"}:
        raise typer.Exit(1)


def make_console() -> Console:
    """Make the console of a command: as wide as the terminal, or as WIDTH where there is none.

    It draws on a terminal alone, whatever FORCE_COLOR says, which makes colors of a log and nothing that moves.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would get its number, and what libraries print there
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            LOST.update({"closed"} if number == 1 else ())
    file = cast(IO[str], _Enduring("stdout"))
    shown = file.isatty()
    colored: Any = "auto" if shown else "standard" if os.environ.get("FORCE_COLOR") else None
    return Console(
        file=file,
        highlight=False,
        emoji=False,
        force_terminal=shown,
        color_system=colored,
        width=None if shown else WIDTH,
    )


@contextmanager
def sentences(*, machine: tuple[type[Exception], ...] = (OSError,), interrupted: str = "interrupted") -> Iterator[None]:
    """Say in one sentence on stderr what was wrong, and exit: with 2 where the input was, with 1 where the machine was.

    Args:
        machine: errors that are no fault of the input.
        interrupted: what is said after Ctrl-C or SIGTERM, which exit with INTERRUPTED.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _end)
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
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "ray":
            raise
        errors.print("error:", f"Ray: {' '.join(str(error).split())[:400]}", style="red", markup=False)
        raise typer.Exit(1) from None
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: Any) -> None:
    """Take SIGTERM, which schedulers send, as Ctrl-C."""
    raise KeyboardInterrupt


@contextmanager
def counted(
    console: Console, name: str, *, total: int | None = None, unit: int = 1, also: Callable[[], str] = str
) -> Iterator[Callable[[int, int | None], None]]:
    """Show how far something is.

    Args:
        console: on which it is drawn, if it is a terminal.
        name: what is counted.
        total: how many there will be, if known.
        unit: how many make one of what is shown, e.g. bytes per MiB.
        also: what is said beside it, asked whenever it is shown.

    Yields:
        a function of (done, total).
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(console, name, unit, also)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[also]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(name, total=total and total // unit, also="")
        yield lambda done, of: bar.update(
            task, completed=done // unit, total=None if of is None else max(1, of // unit), also=also()
        )


class _Lines:
    """Print a line at each tenth."""

    def __init__(self, console: Console, name: str, unit: int, also: Callable[[], str]) -> None:
        self._console, self._name, self._unit, self._also = console, name, unit, also
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
            text = f"{self._name}: {done // self._unit}{of}, {rate:.{0 if rate >= 1 else 2}f} per second"
            more = self._also()
            self._console.print(f"{text}, {more}" if more else text, markup=False, soft_wrap=True)


def options_of(**groups: type | tuple[Any, ...]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that frozen groups carry in their fields, and call it with the groups.

    Args:
        groups: parameter of the command -> its group, see `evaluators.options`; or (group, names) where the command
            takes some of its options alone. Other parameters stay the command's own.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        taken: dict[str, tuple[Any, tuple[str, ...]]] = {}
        for place, given in groups.items():
            group, *names = given if isinstance(given, tuple) else (given,)
            taken[place] = (group, tuple(names) or tuple(options_in(group)))

        @functools.wraps(command)
        def called(**values: Any) -> None:
            with sentences():
                made = {}
                for place, (group, names) in taken.items():
                    made[place] = group(**{name: _read(group, name, values.pop(name)) for name in names})
                    check_values(made[place])
            command(**values, **made)

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name not in groups]
        fields = [_parameter(group, name) for group, names in taken.values() for name in names]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *fields)]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return decorate


def _parameter(group: Any, name: str) -> inspect.Parameter:
    """Say of a field what Typer reads: its type, its help, its default."""
    found, kind = options_in(group)[name], typing.get_type_hints(group)[name]
    default = next(f.default for f in dataclasses.fields(group) if f.name == name)
    words: dict[str, Any] = {"help": found.help, "envvar": found.variable}
    if typing.get_origin(kind) is tuple:
        kind = types.GenericAlias(list, typing.get_args(kind)[:1])
    if found.parse is not None:
        kind, default = str, str(default)
    if _is_path(kind):
        kind, words["metavar"] = (str if kind is Path else str | None), "PATH"
    if found.argument:
        about = typer.Argument(**words, show_default=found.shown or False)
    else:
        flag = flag_of(group, name)
        shown: Any = found.shown or not (default is None or default is False or default == "")
        about = typer.Option(flag, **words, show_default=shown, rich_help_panel=found.section)
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=empty if default is dataclasses.MISSING else list(default) if isinstance(default, tuple) else default,
        annotation=Annotated[kind, about],
    )


def _read(group: Any, name: str, value: Any) -> Any:
    """Make of what Typer read what the field takes."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and _is_path(typing.get_type_hints(group)[name]):
        if not value:  # of a variable that is not set; Path("") would be the working folder
            raise ValueError(f"{flag_of(group, name)}: expected a path, got an empty one")
        return Path(value)
    parse = options_in(group)[name].parse
    return value if parse is None else parse(value)


def _is_path(kind: Any) -> bool:
    return kind is Path or kind == Path | None
