"""Messages of an Arrow stream that carry their own checksum, so that a flipped bit is told from a torn end.

Each message, as the stream format has it (https://arrow.apache.org/docs/format/Columnar.html), holds a CRC-32 of all
its bytes, and their number, in its custom metadata, where any reader of Arrow may ignore it. The digits of the checksum
count as zeros.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

CONTINUATION = b"\xff\xff\xff\xff"
"""What every message begins with."""
KEY, UNSEALED = "checksum", "crc32:00000000 of 0000000000 bytes"
SEAL = re.compile(rb"crc32:([0-9a-f]{8}) of ([0-9]{10}) bytes")
TOGETHER = 256
OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True, eq=False)
class Stream:
    """Hold what is whole of a stream.

    Attributes:
        schema: without the checksum.
        batches: of one row each, or of TOGETHER.
        end: bytes that they take.
        rest: what lies behind: the beginning of a message that was not finished.
    """

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    end: int
    rest: bytes


def schema_message(schema: pa.Schema) -> bytes:
    """Write a schema as the first message of a stream."""
    return _sealed(schema.with_metadata({**(schema.metadata or {}), KEY: UNSEALED}).serialize().to_pybytes())


def batch_message(batch: pa.RecordBatch) -> bytes:
    """Write a batch as a message."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=OPTIONS) as stream:
        stream.write_batch(batch.slice(0, 0))  # the schema is written with the first batch
        begin = sink.tell()
        stream.write_batch(batch, custom_metadata={KEY: UNSEALED})
        end = sink.tell()
    return _sealed(sink.getvalue().to_pybytes()[begin:end])


def read_stream(path: Path) -> Stream:
    """Read the whole messages of a stream, also while somebody writes it.

    A stream without checksums, as earlier versions wrote, is read as it is.

    Raises:
        ValueError: if it is no such stream, or damaged: a message in the midst, or a whole one at the end, is not what
            was written.
    """
    schema, messages, data, end = _checked(path)
    batches: list[pa.RecordBatch] = []
    gathered: list[pa.RecordBatch] = []
    for message, begin in messages:
        try:
            batches.append(pa.ipc.read_record_batch(message, schema))
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{path}: damaged at byte {begin}: {error}; restore it from a copy") from error
        if len(batches) == TOGETHER:
            gathered, batches = [*gathered, *_as_one(batches)], []
    return Stream(_bare(schema), [*gathered, *batches], end, data[end:])


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a stream whose every message is whole, without reading what is in them, which takes longest.

    Raises:
        ValueError: if it is no such stream, or damaged, see `read_stream`.
    """
    return _bare(_checked(path)[0])


def _checked(path: Path) -> tuple[pa.Schema, list[tuple[pa.Message, int]], bytes, int]:
    """Return the schema, each message and where it begins, all bytes, and where the last whole message ends."""
    data = path.read_bytes()
    first = _message_at(data, 0)
    schema = None
    if first is not None and first[0].type == "schema":
        schema = pa.ipc.read_schema(first[0])
    if first is None or schema is None or b"sweep" not in (schema.metadata or {}):
        raise ValueError(f"{path}: expected a ledger, found no whole schema of one in its {len(data)} bytes; delete it")
    sealed = KEY.encode() in schema.metadata
    if sealed and not _holds(data[: first[1]]):
        raise ValueError(f"{path}: damaged at byte 0: the checksum of its schema disagrees; restore it from a copy")
    messages: list[tuple[pa.Message, int]] = []
    end = first[1]
    while end < len(data):
        found = _message_at(data, end)
        if found is None or (sealed and not _holds(data[end : found[1]])):
            _refuse_damage(path, data, end, len(messages), whole=found is not None, sealed=sealed)
            break
        messages.append((found[0], end))
        end = found[1]
    return schema, messages, data, end


def _bare(schema: pa.Schema) -> pa.Schema:
    return schema.with_metadata({key: value for key, value in schema.metadata.items() if key != KEY.encode()})


def sweep_of(table: pa.Table | pa.Schema) -> dict[str, Any]:
    """Return the facts about the sweep from the metadata of a table or schema."""
    facts: dict[str, Any] = json.loads(getattr(table, "schema", table).metadata[b"sweep"])
    return facts


def _as_one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Put the rows of batches into one: each batch costs more memory than its row."""
    return pa.Table.from_batches(batches).combine_chunks().to_batches()  # type: ignore[no-any-return]


def _refuse_damage(path: Path, data: bytes, end: int, rows: int, *, whole: bool, sealed: bool) -> None:
    """Refuse bytes that no writer which was stopped leaves: only a message that the file ends in is one."""
    rest = data[end:]
    later = sum(1 for start in _starts(data, end + 8) if sealed and _is_sealed(data, start))
    begun = rest.startswith(CONTINUATION[: len(rest)]) or not any(rest)  # file systems may leave zeros after a crash
    header = int.from_bytes(rest[4:8], "little", signed=True)
    if sealed and 0 < header <= len(rest) - 8:  # it says how long the message should be
        found = SEAL.search(rest, 0, 8 + header)
        whole = whole or found is None or int(found.group(2)) <= len(rest)
    if whole or later or not begun:
        raise ValueError(
            f"{path}: damaged at byte {end}, in row {rows + 1}: {rows} rows before it and {later} after it are whole; "
            "restore it from a copy, such as --copy-to keeps"
        )


def _starts(data: bytes, begin: int) -> list[int]:
    """List where messages may begin: messages are padded to 8 bytes."""
    found = (begin + match.start() for match in re.finditer(re.escape(CONTINUATION), data[begin:]))
    return [start for start in found if start % 8 == 0]


def _is_sealed(data: bytes, start: int) -> bool:
    found = _message_at(data, start)
    return found is not None and _holds(data[start : found[1]])


def _message_at(data: bytes, start: int) -> tuple[pa.Message, int] | None:
    """Read the message that begins at a byte, and tell where it ends; None if it is not there to its end."""
    if data[start : start + 4] != CONTINUATION or len(data) < start + 8:
        return None
    size = int.from_bytes(data[start + 4 : start + 8], "little", signed=True)
    if not 0 < size <= len(data) - start - 8:
        return None
    try:
        message = pa.ipc.read_message(pa.py_buffer(memoryview(data)[start:]))
    except (pa.ArrowInvalid, OSError, EOFError):
        return None
    end = start + 8 + size + (0 if message.body is None else message.body.size)
    return (message, end) if end <= len(data) else None


def _seal_in(message: bytes) -> re.Match[bytes] | None:
    header = 8 + int.from_bytes(message[4:8], "little", signed=True)
    return SEAL.search(message, 0, max(0, header))


def _sealed(message: bytes) -> bytes:
    """Put length and checksum of a message in their places."""
    found = _seal_in(message)
    assert found is not None
    message = b"".join((message[: found.start(2)], b"%010d" % len(message), message[found.end(2) :]))
    return b"".join((message[: found.start(1)], b"%08x" % zlib.crc32(message), message[found.end(1) :]))


def _holds(message: bytes) -> bool:
    """Tell whether a message is what its checksum says."""
    found = _seal_in(message)
    if found is None:
        return False
    zeroed = b"".join((message[: found.start(1)], b"0" * 8, message[found.end(1) :]))
    return b"%08x" % zlib.crc32(zeroed) == found.group(1)
