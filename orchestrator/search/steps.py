"""Steps of the start, which takes up to minutes: said as they are taken, and kept for the log with their times."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import time
from collections.abc import Iterator

from rich.console import Console

log = logging.getLogger(__name__)


class Steps:
    """Say what is being done, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say one step, on the terminal and in the log."""
        seconds = time.monotonic() - self._started
        log.info(text, extra={"seconds": round(seconds, 1)})
        self._console.print(f"{seconds:5.1f} s  {text}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def remembered() -> Iterator[list[logging.LogRecord]]:
    """Collect what the orchestrator logs before its log can be opened."""
    handler = logging.handlers.BufferingHandler(10_000)
    logger = logging.getLogger("orchestrator")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler.buffer
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
