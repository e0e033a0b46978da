"""Processes of this machine that work on pictures: started together, each at the end of a line, and ended together."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Protocol, TypeVar

import cv2
import torch
from PIL import Image

INTERVAL = 0.25
"""Seconds between two looks at the processes."""
PATIENCE = 10.0
"""Seconds that a process gets to end by itself."""


class Worker(Protocol):
    """What is remembered of a process."""

    process: SpawnProcess


W = TypeVar("W", bound=Worker)


@contextlib.contextmanager
def working(count: int, make: Callable[[SpawnContext, Connection], W]) -> Iterator[dict[Connection, W]]:
    """Start processes, and end those that are left on the way out.

    Args:
        count: of processes.
        make: makes one, not started yet, that speaks at the given end of a line.

    Yields:
        this end of each line -> its worker; who has ended is taken out by whoever hears of it.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, W] = {}
    try:
        # Ctrl-C reaches every process of a terminal, but it is this one that decides what ends: the others inherit that
        # they take no notice.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for _ in range(count):
                mine, theirs = context.Pipe()
                worker = make(context, theirs)
                worker.process.start()
                theirs.close()
                workers[mine] = worker
        finally:
            signal.signal(signal.SIGINT, handler)
        yield workers
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.process.join(PATIENCE)


def quietly() -> None:
    """Let a process work with one thread, and leave Pillow's remarks unsaid."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # too large: read smaller, or refused
    warnings.simplefilter("ignore", UserWarning)  # on odd EXIF; what matters raises
