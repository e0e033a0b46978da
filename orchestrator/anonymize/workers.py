"""Processes that anonymize pictures, each with its own detector and one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

import cv2

from orchestrator.anonymize.faces.treatment import Treatment
from orchestrator.anonymize.files import Work
from orchestrator.anonymize.pictures import FAILED, Keeping, Outcome, treat
from orchestrator.processes import INTERVAL, PATIENCE, quietly, working


def treat_all(
    treatment: Treatment,
    keeping: Keeping,
    works: Sequence[Work],
    *,
    processes: int,
    done: Callable[[Work, Outcome], None],
) -> None:
    """Anonymize picture files in several processes; in this one, if there is to be one.

    A process ends by itself when this one is gone. An exception here, Ctrl-C too, ends them all; what they have not
    finished leaves no file.

    Args:
        treatment: how.
        keeping: what of a picture is kept.
        works: what, in this order.
        processes: at most so many.
        done: called with each file, as they are finished.

    Raises:
        ValueError: if something that the method needs is missing.
        OSError: if a result cannot be written.
        RuntimeError: if a process dies; the message names the file that it was at.
    """
    if min(processes, len(works)) <= 1:
        if works:
            quietly()
            ready = treatment.ready()
            for work in works:
                done(work, treated(work, lambda work: treat(work, ready, keeping)))
        return

    def make(context: SpawnContext, theirs: Connection) -> _Worker:
        return _Worker(context.Process(target=serve, args=(treatment, keeping, theirs), daemon=True))

    left = list(reversed(works))
    with working(min(processes, len(works)), make) as workers:
        while workers:
            for line in wait(list(workers), INTERVAL):
                assert isinstance(line, Connection)
                if not _answer(line, workers[line], left, done):
                    workers.pop(line)


@dataclass
class _Worker:
    """Follow a process, and the file that it is at."""

    process: SpawnProcess
    work: Work | None = None


def _answer(line: Connection, worker: _Worker, left: list[Work], done: Callable[[Work, Outcome], None]) -> bool:
    """Take what a process says and give it the next file; tell whether it goes on."""
    try:
        said: Outcome | Exception | None = line.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(PATIENCE)
        where = "before it began" if worker.work is None else f"at {worker.work.name!r}"
        raise RuntimeError(
            f"a process ended with code {worker.process.exitcode} {where}; --resume goes on, fewer --processes need "
            "less memory"
        ) from None
    if isinstance(said, Exception):
        raise said
    if said is not None and worker.work is not None:
        done(worker.work, said)
    worker.work = left.pop() if left else None
    line.send(worker.work)
    if worker.work is None:
        worker.process.join(PATIENCE)
    return worker.work is not None


def serve(treatment: Treatment, keeping: Keeping, line: Connection) -> None:
    """Serve as one of the processes: say None when ready, then what became of each file, or the error that ended it."""
    quietly()
    try:
        try:
            ready = treatment.ready()
        except ValueError as error:
            line.send(error)
            return
        line.send(None)
        while (work := line.recv()) is not None:
            try:
                line.send(treated(work, lambda work: treat(work, ready, keeping)))
            except OSError as error:
                line.send(OSError(str(error)))
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the first process is gone


def treated(work: Work, act: Callable[[Work], Outcome]) -> Outcome:
    """Anonymize a file; what goes wrong with it alone is noted, and nothing of it released.

    Raises:
        OSError: if a result cannot be written.
    """
    try:
        return act(work)
    except (ValueError, RuntimeError, MemoryError, cv2.error) as error:
        return Outcome(FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}")
