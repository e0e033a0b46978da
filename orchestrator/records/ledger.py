"""The ledger: one append-only Arrow stream per sweep, from which every table and figure is derived."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluators.measuring.by_person import Population
from evaluators.metrics import METRICS
from evaluators.metrics.scores import People, Scores
from orchestrator.records.arrow.encoding import batch_of, events_of, flat_table, ledger_schema
from orchestrator.records.arrow.messages import Stream, batch_message, read_stream, schema_message, sweep_of
from orchestrator.records.arrow.people import Drawn, Later, population_of, without_what_follows
from orchestrator.records.files import locked, replace_file
from orchestrator.records.trials import (
    ASKED,
    DETAILS,
    EVENTS,
    FACTS,
    STOPPED,
    TOLD_BY,
    Row,
    flat,
    hyperparameters,
    trial_rows,
    without_replicates,
)

log = logging.getLogger(__name__)


class Ledger:
    """Append rows to a file of which every finished row survives the process, and read them back.

    The file is an Arrow IPC stream without an end marker: the schema, then one record batch per row with a checksum of
    its own, each written by one call and synchronized to disk before `append` returns. A process killed in the midst
    leaves at most one torn batch at the end; `open` moves it to a file beside. Any other damage is refused. One process
    at a time may hold a ledger; anybody may `read` it meanwhile.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take a locked descriptor; use `create` or `open` instead."""
        self.path = path
        self._descriptor = descriptor
        self._read: Stream | None = read_stream(path)
        stream = self._read
        self._schema = stream.schema
        expected = ledger_schema(self.sweep)
        if not self._schema.equals(expected) or self._schema.metadata != expected.metadata:
            raise ValueError(f"{path}: was started with other methods or metrics than there are now; start a new sweep")
        self._statuses: dict[int, set[str]] = {}
        for batch in stream.batches:
            pairs = zip(*(batch.column(name).to_pylist() for name in ("trial", "status")), strict=True)
            for trial, status in pairs:
                self._statuses.setdefault(trial, set()).add(status)
        if stream.rest:
            aside = path.with_name(f"{path.name}.cut-{stream.end}")
            replace_file(aside, lambda new: new.write_bytes(stream.rest))
            log.warning(
                "%s: its last %d bytes are a row that was not finished; they are now in %s",
                *(path, len(stream.rest), aside),
            )
            os.ftruncate(descriptor, stream.end)
            os.fsync(descriptor)

    @classmethod
    def create(cls, path: Path | str, sweep: Mapping[str, Any], *, replace: bool = False) -> Ledger:
        """Start a ledger.

        Args:
            path: of the file; its folder is made if absent.
            sweep: facts about the sweep, ready for JSON.
            replace: whether a ledger that lies there, and that nobody writes, is replaced.

        Raises:
            ValueError: if the file exists and is not to be replaced, or another process holds it.
        """
        path = Path(path)
        if path.exists() and not replace:
            raise ValueError(f"{path}: expected no ledger here, found one; resume that sweep or take another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        held = locked(path) if path.is_file() else None
        try:
            # A schema that is there is whole: it gets its name only once it is on disk.
            replace_file(path, lambda new: new.write_bytes(schema_message(ledger_schema(sweep))))
            return cls.open(path)
        finally:
            if held is not None:
                os.close(held)

    @classmethod
    def open(cls, path: Path | str) -> Ledger:
        """Go on with a ledger, after whatever ended the process that wrote it.

        Raises:
            ValueError: if the file is absent, another process holds it, it is no ledger, or damaged.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path}: expected a ledger, found no file; start the sweep without resuming")
        descriptor = locked(path)
        try:
            return cls(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def sweep(self) -> dict[str, Any]:
        """Return the facts about the sweep that stand in the metadata."""
        return sweep_of(self._schema)

    @functools.cached_property
    def _population(self) -> Population | None:
        return population_of(self.sweep)

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
        if any(asked or status not in EVENTS for status in self._statuses.get(trial, ())):
            raise ValueError(f"{self.path}: trial {trial} is already in the ledger; number the trials anew")
        columns = without_what_follows(flat(row), self._population)
        self._write(batch_message(batch_of(columns, self._schema)))
        self._read = None
        self._statuses.setdefault(trial, set()).add(row["status"])

    def rows(self) -> list[dict[str, Any]]:
        """Read every row as it was appended, in that order, scores included."""
        return rows_of(self.table())

    def events(self, metrics: Sequence[str]) -> list[Row]:
        """Read what a sweep must know of each row to go on, in the order in which they were appended.

        Args:
            metrics: to be read, such as the objectives.

        Returns:
            Rows with `trial`, `status`, `error`, `method`, `anonymizer`, `blamed`, `drawn`, `taken_from`,
            `n_probe` and the metrics.
        """
        stream = self._stream()
        return events_of(pa.Table.from_batches(stream.batches, schema=stream.schema), metrics)

    def draws(self, metrics: Sequence[str]) -> dict[int, Mapping[str, NDArray[np.float16]]]:
        """Read the replicates of metrics, (R,) of each that has some, by complete trial, once they are asked for."""
        stream = self._stream()

        def of(batch: pa.RecordBatch, place: int) -> Mapping[str, NDArray[np.float16]]:
            row = flat_table(pa.Table.from_batches([batch.slice(place, 1)], schema=stream.schema))
            return Drawn(row, self._population).of(0, metrics)

        return {
            batch.column("trial")[place].as_py(): Later(functools.partial(of, batch, place))
            for batch in stream.batches
            for place, status in enumerate(batch.column("status").to_pylist())
            if status == "complete"
        }

    def _stream(self) -> Stream:
        """Return what the file holds, which is not read again until a row is appended."""
        return self._read or read_stream(self.path)

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

    def _write(self, message: bytes) -> None:
        """Add bytes at the end, all or none, and wait for the disk."""
        rest, end = memoryview(message), os.fstat(self._descriptor).st_size
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except BaseException as error:
            # Disk full, or interrupted: whoever catches this may append again, so leave no torn batch in the midst.
            os.ftruncate(self._descriptor, end)
            if isinstance(error, OSError):
                raise OSError(
                    f"{self.path}: expected to add a row of {len(message)} bytes, got: {error.strerror}; what was "
                    "finished is kept, make room and give --resume"
                ) from error
            raise


def read(path: Path | str) -> pa.Table:
    """Read every whole row of a ledger, also while somebody writes it.

    Returns:
        The columns of the trials table and of the replicates, with the sweep in the metadata.

    Raises:
        ValueError: if the file is no ledger, or damaged.
    """
    stream = read_stream(Path(path))
    return flat_table(pa.Table.from_batches(stream.batches, schema=stream.schema))


def rows_of(table: pa.Table, metrics: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Gather the rows of a ledger as the search had them, the way back from `flat`.

    Args:
        table: of a ledger, as `ledger.read` returns it.
        metrics: of which replicates are wanted, where they are kept or follow; None for the objectives.

    Returns:
        Dictionaries as `flat` takes them; `scores.seconds` is the time of the trial.

    Raises:
        ValueError: if the table's metrics are not those of METRICS.
    """
    rows = []
    drawn = Drawn(table)
    wanted = tuple(drawn.objectives) if metrics is None else metrics
    blamed, details = (
        table.column(name).to_pylist() if name in table.column_names else [None] * len(table)
        for name in ("blamed", DETAILS)
    )
    for place, columns in enumerate(without_replicates(table).to_pylist()):
        found, people = drawn.of(place, wanted), drawn.people(place)
        said = json.loads(details[place] or "{}")
        measured = columns["status"] in ("complete", "stopped") and columns["n_probe"] is not None
        rows.append(
            {name: columns[name] for name in ("trial", "status", "error", "method", "anonymizer", "seconds")}
            | {"hyperparameters": hyperparameters(columns)}
            | {"scores": _scores(columns, found, said, people) if measured else None}
            | ({} if blamed[place] is None else {"blamed": blamed[place]})
            | ({} if columns.get(STOPPED) is None else {STOPPED: columns[STOPPED]})
        )
    return rows


def _scores(
    columns: Row, replicates: Mapping[str, NDArray[np.float16]], details: Mapping[str, Any], people: People | None
) -> Scores:
    """Gather the scores of a flat row."""
    return Scores(
        values={name: columns.get(name) for name in METRICS},
        intervals={
            name: (columns[f"{name}_lo"], columns[f"{name}_hi"])
            for name in METRICS
            if columns.get(f"{name}_lo") is not None
        },
        replicates={name: draws.astype(np.float32) for name, draws in replicates.items()},
        seconds=columns["seconds"],
        told_by=columns.get(TOLD_BY) or "",
        details=details,
        people=people,
        stage=json.loads(columns[STOPPED])["stage"] if columns["status"] == "stopped" else "",
        **{name: columns[name] for name in FACTS},
    )
