"""The ledger: one append-only Arrow stream per sweep, from which every table and figure is derived."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from orchestrator.records.files import replace_file
from orchestrator.records.trials import ASKED, EVENTS, Row, batch_of, flat, ledger_schema, rows_of, sweep_of, trial_rows

CONTINUATION = b"\xff\xff\xff\xff"
"""What every message of an Arrow stream begins with (https://arrow.apache.org/docs/format/Columnar.html)."""

log = logging.getLogger(__name__)


class Ledger:
    """Append rows to a file of which every finished row survives the process, and read them back.

    The file is an Arrow IPC stream without an end marker: the schema, then one record batch per row, each written by
    one call and synchronized to disk before `append` returns. A process killed in the midst leaves at most one torn
    batch at the end; `open` cuts it off. One process at a time may hold a ledger; anybody may `read` it meanwhile.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take a locked descriptor; use `create` or `open` instead."""
        self.path = path
        self._descriptor = descriptor
        table, end = _whole(path)
        self._schema = table.schema
        if not self._schema.equals(ledger_schema(self.sweep)):
            raise ValueError(f"{path}: was started with other methods or metrics than there are now; start a new sweep")
        self._events = set(zip(*(table.column(name).to_pylist() for name in ("trial", "status")), strict=True))
        if torn := os.fstat(descriptor).st_size - end:
            log.warning("%s: cut %d bytes of a row that was not finished", path, torn)
            os.ftruncate(descriptor, end)
            os.fsync(descriptor)

    @classmethod
    def create(cls, path: Path | str, sweep: Mapping[str, Any]) -> Ledger:
        """Start a ledger.

        Raises:
            ValueError: if the file exists; nothing is ever overwritten.
        """
        path = Path(path)
        if path.exists():
            raise ValueError(f"{path}: expected no ledger here, found one; resume that sweep or take another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        # A schema that is there is whole: it gets its name only once it is on disk.
        replace_file(path, lambda new: new.write_bytes(ledger_schema(sweep).serialize().to_pybytes()))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Ledger:
        """Go on with a ledger, after whatever ended the process that wrote it.

        Raises:
            ValueError: if the file is absent, another process holds it, or it is no ledger.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path}: expected a ledger, found no file; start the sweep without resuming")
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ValueError(
                f"{path}: another process writes to this ledger; wait for it or take another name"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def sweep(self) -> dict[str, Any]:
        """Return the facts about the sweep that stand in the metadata."""
        return sweep_of(self._schema)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row; it is on disk when this returns.

        A trial is written once when it has ended, and may be written before: once with the status `asked`, so that an
        interrupted sweep knows what it had proposed, and with the status `lost` as often as it came back without an
        outcome, so that the ledger tells why a trial took so long.

        Args:
            row: as `flat` takes it.

        Raises:
            ValueError: if `flat` refuses it, a value does not fit the schema, the trial is already there, or the
                ledger is closed. Nothing is written then.
        """
        if self._descriptor < 0:
            raise ValueError(f"{self.path}: this ledger is closed; open it again to append")
        trial, asked = row["trial"], row["status"] == ASKED
        if any(n == trial and (asked or status not in EVENTS) for n, status in self._events):
            raise ValueError(f"{self.path}: trial {trial} is already in the ledger; number the trials anew")
        self._write(batch_of(flat(row), self._schema).serialize())
        self._events.add((trial, row["status"]))

    def rows(self) -> list[dict[str, Any]]:
        """Read every row as it was appended, in that order, scores included."""
        return rows_of(self.table())

    def trials(self) -> list[Row]:
        """Read the trials that have ended as flat rows, as `trials.parquet` has them."""
        return trial_rows(self.table())

    def table(self) -> pa.Table:
        """Read the file: flat columns, replicates included."""
        return read(self.path)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, message: pa.Buffer) -> None:
        """Add bytes at the end, all or none, and wait for the disk."""
        rest, end = memoryview(message), os.fstat(self._descriptor).st_size
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except BaseException:
            # Disk full, or interrupted: whoever catches this may append again, so leave no torn batch in the midst.
            os.ftruncate(self._descriptor, end)
            raise


def read(path: Path | str) -> pa.Table:
    """Read every whole row of a ledger, also while somebody writes it.

    Returns:
        The columns of `ledger_schema` with the sweep in the metadata.

    Raises:
        ValueError: if the file is no ledger.
    """
    return _whole(Path(path))[0]


def _whole(path: Path) -> tuple[pa.Table, int]:
    """Read the whole messages of a stream, and tell where the last one ends.

    Returns:
        The rows, and the number of bytes that schema and whole batches take.
    """
    data = path.read_bytes()
    source = pa.BufferReader(data)
    messages = pa.ipc.MessageReader.open_stream(source)
    found: pa.Schema | None = None
    batches = []
    end = 0
    try:
        while True:
            message = messages.read_next_message()
            if found is None:
                found = pa.ipc.read_schema(message)
            else:
                batches.append(pa.ipc.read_record_batch(message, found))
            end = source.tell()
    except StopIteration:
        pass
    except (pa.ArrowInvalid, OSError) as error:
        # What a killed writer leaves is the beginning of a batch. Anything else may hide rows behind it: keep it all.
        if not data[end:].startswith(CONTINUATION[: len(data) - end]):
            raise ValueError(f"{path}: no ledger, or damaged at byte {end}: {error}; restore it from a copy") from error
    if found is None or b"sweep" not in (found.metadata or {}):
        raise ValueError(f"{path}: expected a ledger, found no whole schema of one in its {len(data)} bytes; delete it")
    return pa.Table.from_batches(batches, schema=found), end


LEDGER = "ledger.arrow"
