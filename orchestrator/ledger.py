"""The ledger: one append-only Arrow stream per sweep, from which every table and figure is derived."""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from orchestrator.front import Row, eligible, front_probability, front_rows, objective_values, seba_areas
from orchestrator.trials import (
    ASKED,
    EVENTS,
    REPLICATES,
    batch_of,
    flat,
    ledger_schema,
    rows_of,
    schema,
    sweep_of,
    without_replicates,
)

__all__ = ["Ledger", "objective_replicates", "read", "replace_file", "schema", "trial_rows", "write_tables"]

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


def trial_rows(table: pa.Table) -> list[Row]:
    """Return the trials that have ended as flat rows, ordered by number, without replicates.

    Args:
        table: of a ledger or of `trials.parquet`.
    """
    rows: list[Row] = without_replicates(table).to_pylist()
    return sorted((row for row in rows if row["status"] not in EVENTS), key=lambda row: row["trial"])


def objective_replicates(table: pa.Table, objectives: Mapping[str, str]) -> NDArray[np.float64]:
    """Collect the joint bootstrap replicates of the objectives, all rows of the table being `eligible`.

    Args:
        table: n rows of a ledger.
        objectives: metric name -> "min" or "max".

    Returns:
        (n, m, R) float64. An objective without replicates stands at its measured value in every one; R is 1 if none
        has any.

    Raises:
        ValueError: if rows or objectives differ in the number of replicates.
    """
    values = objective_values(table.select(list(objectives)).to_pylist(), objectives)
    drawn: dict[int, list[Any]] = {}
    for m, name in enumerate(objectives):
        if (column := f"{REPLICATES}{name}") in table.column_names and table.column(column).null_count < len(table):
            drawn[m] = [cell.values.to_numpy() if cell.is_valid else np.zeros(0) for cell in table.column(column)]
    counts = {len(cell) for cells in drawn.values() for cell in cells} or {1}
    if len(counts) > 1:
        raise ValueError(f"ledger: expected as many replicates of every objective in every row, got {sorted(counts)}")
    replicates = np.repeat(values[:, :, None], counts.pop(), axis=2)
    for m, cells in drawn.items():
        for n, cell in enumerate(cells):
            replicates[n, m] = cell
    return replicates


def write_tables(ledger: pa.Table | Path | str, sweep: Mapping[str, Any], folder: Path | str) -> list[Row]:
    """Derive `trials.parquet` and `front.parquet` from a ledger.

    Both are written to a temporary name and synchronized before they get theirs, so that a reader never sees half a
    table.

    Args:
        ledger: its table, as `read` returns it, or its file.
        sweep: facts about the sweep with `objectives`; they become the metadata.
        folder: where the tables go; made if absent.

    Returns:
        The flat rows of the front, with `front_probability`, which all trials have, and `seba_area` of their method. In
        the tables the trials are ordered by their number, the front by the first objective.
    """
    table = ledger if isinstance(ledger, pa.Table) else read(ledger)
    table = table.filter(~pc.field("status").isin(EVENTS)).sort_by("trial")
    trials = without_replicates(table).replace_schema_metadata({"sweep": json.dumps(sweep, allow_nan=False)})
    objectives: dict[str, str] = sweep["objectives"]
    rows: list[Row] = trials.to_pylist()
    place = {row["trial"]: n for n, row in enumerate(rows)}
    front = [place[row["trial"]] for row in front_rows(rows, objectives)]
    candidates = [n for n, row in enumerate(rows) if eligible(row, objectives)]
    probability: list[float | None] = [None] * len(rows)
    if candidates:
        replicates = objective_replicates(table.take(pa.array(candidates)), objectives)
        for n, share in zip(candidates, front_probability(replicates, list(objectives.values())), strict=True):
            probability[n] = float(share)
    trials = trials.append_column(pa.field("front_probability", pa.float64()), pa.array(probability, pa.float64()))
    front_table = trials.take(pa.array(front, pa.int64()))
    areas = seba_areas(rows)
    of_method = [areas.get(rows[n]["method"]) for n in front]
    front_table = front_table.append_column(pa.field("seba_area", pa.float64()), pa.array(of_method, pa.float64()))

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("trials.parquet", trials), ("front.parquet", front_table)):
        replace_file(folder / name, functools.partial(pq.write_table, content, compression="zstd"))
    kept: list[Row] = front_table.to_pylist()
    return kept


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name, wait for the disk, and give it its name.

    Args:
        path: the name; what it named before is replaced in one step.
        write: called with the temporary path, in the same folder.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
