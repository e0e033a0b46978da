"""The log of a run: one JSON object per line, with the trial, panel and machine that it is about."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

FIELDS = ("trial", "anonymizer", "status", "panel", "node", "seconds", "reason", "blamed")
"""What a line may say besides its time, level and event; `extra` of the logging calls."""


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time (UTC), level, event, and those of FIELDS that the record carries."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        known = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        return json.dumps({"time": time, "level": record.levelname.lower(), "event": record.getMessage()} | known)


@contextlib.contextmanager
def logged(path: Path, earlier: Iterable[logging.LogRecord] = ()) -> Iterator[None]:
    """Write what the orchestrator logs to a file while the context lasts, after what the file holds already.

    Args:
        path: of the file.
        earlier: what was logged before the file could be opened.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines())
    for record in earlier:
        handler.handle(record)
    logger = logging.getLogger("orchestrator")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the terminal shows progress
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.close()


LOG = "log.jsonl"
