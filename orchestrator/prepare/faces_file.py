"""The files of a prepared set: shards while it grows, then one Arrow file that maps into memory without a copy."""

from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from anonymizers import Faces
from evaluators.datasets.cropping import context_margin
from evaluators.datasets.duplicates import GRID
from evaluators.datasets.prepared import Prepared
from orchestrator.prepare.options import FACES
from orchestrator.records.files import replace_file

REJECTED = "rejected.parquet"
METADATA = b"prepared"
PIXELS = ("image", "context")
NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
"""Promise no memory for a private mapping: nobody writes to it, and the file may be larger than the memory."""


@dataclass(frozen=True, eq=False)
class Shard:
    """Hold what became of a few consecutive pictures.

    Attributes:
        index: (n,) int64 positions in the source, ascending, of those with a face.
        image, context: (n, 3, S, S) and (n, 3, C, C) uint8 RGB.
        landmarks: (n, 5, 2) float32 px.
        score: (n,) float32.
        faces: (n,) int32, found in the picture.
        fingerprint: (n, GRID²) float32.
        digest: SHA-256 of each picture's file, or of its row of a table, hexadecimal.
        rejected: position, reason and detail of each of the others.
    """

    index: NDArray[np.int64]
    image: NDArray[np.uint8]
    context: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    score: NDArray[np.float32]
    faces: NDArray[np.int32]
    fingerprint: NDArray[np.float32]
    digest: Sequence[str]
    rejected: Sequence[tuple[int, str, str]]


def schema(size: int, facts: Mapping[str, Any]) -> pa.Schema:
    """Return the schema of a prepared set: one row per face.

    Args:
        size: side of the aligned crops, px.
        facts: everything else, JSON under the key `prepared`.
    """
    context = size + 2 * context_margin(size)
    pixels = {"image": size, "context": context}
    columns = {
        "key": pa.string(),
        "identity": pa.int64(),
        "expression": pa.int64(),
        **{name: pa.fixed_shape_tensor(pa.uint8(), (3, side, side)) for name, side in pixels.items()},
        "landmarks": pa.fixed_shape_tensor(pa.float32(), (5, 2)),
        "score": pa.float32(),
        "faces": pa.int32(),
        "digest": pa.string(),
    }
    fields = [pa.field(name, kind, nullable=False) for name, kind in columns.items()]
    return pa.schema(fields, metadata={METADATA: json.dumps(facts)})


def write_shard(path: Path, shard: Shard, size: int) -> None:
    """Write a shard under a temporary name and rename it: what has the name is whole, whenever the process dies."""
    whole = schema(size, {"rejected": list(shard.rejected)})
    shared = [whole.field(name) for name in ("image", "context", "landmarks", "score", "faces", "digest")]
    mark = pa.field("fingerprint", pa.fixed_shape_tensor(pa.float32(), (GRID * GRID,)), nullable=False)
    fields = [pa.field("index", pa.int64(), nullable=False), mark, *shared]
    batch = pa.record_batch(
        [_array(field.type, getattr(shard, field.name)) for field in fields], schema=pa.schema(fields, whole.metadata)
    )
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with pa.OSFile(str(new), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    new.replace(path)


def read_shard(path: Path) -> Shard:
    """Map a shard into memory; its arrays are views of the file.

    Raises:
        pa.ArrowInvalid: if it is none, or damaged.
    """
    with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        batch = reader.get_batch(0)
        rejected = json.loads(reader.schema.metadata[METADATA])["rejected"]
    tensors = {n: batch.column(n).to_numpy_ndarray() for n in (*PIXELS, "landmarks", "fingerprint")}
    numbers = {n: batch.column(n).to_numpy() for n in ("index", "score", "faces")}
    digest = batch.column("digest").to_pylist()
    return Shard(**tensors, **numbers, digest=digest, rejected=[tuple(row) for row in rejected])


def write_faces(
    path: Path,
    columns: Mapping[str, Any],
    pixels: Iterable[tuple[int, Mapping[str, NDArray[np.uint8]]]],
    size: int,
    facts: Mapping[str, Any],
) -> None:
    """Write a prepared set as one record batch, so that each column is one stretch of the file.

    The pixels, which may be more than the memory holds, are left out as a hole and then written in place, piece by
    piece.

    Args:
        path: of the file; it appears when it is whole.
        columns: N values of each of the schema's columns but the pixels.
        pixels: first row of a piece, and its `image` (n, 3, S, S) and `context` (n, 3, C, C) uint8.
        size: side of the aligned crops, px.
        facts: for the metadata.
    """
    whole = schema(size, facts)
    rows = len(columns["key"])
    holes = {name: _hole(whole.field(name).type, rows) for name in PIXELS}
    arrays = [holes[f.name] if f.name in holes else _array(f.type, columns[f.name]) for f in whole]
    batch = pa.record_batch(arrays, schema=whole)

    def write(new: Path) -> None:
        with new.open("wb") as file:
            options = pa.ipc.IpcWriteOptions(allow_64bit=True)
            sink = pa.PythonFile(_Sparse(file, holes.values()), mode="w")
            with pa.ipc.new_file(sink, whole, options=options) as writer:
                writer.write_batch(batch)
        starts = _offsets(new)
        with new.open("r+b", buffering=0) as file:
            for first, piece in pixels:
                for name, values in piece.items():
                    rest = np.ascontiguousarray(values).reshape(-1).data
                    file.seek(starts[name] + first * values[0].nbytes)
                    while rest:
                        rest = rest[file.write(rest) :]

    replace_file(path, write)


def write_rejected(path: Path, rejected: Sequence[tuple[str, str, str, str]], facts: Mapping[str, Any]) -> None:
    """Write key, identity, reason and detail of every picture that could not be used."""
    names = ("key", "identity", "reason", "detail")
    cells = zip(*rejected, strict=True) if rejected else [()] * len(names)
    columns = {name: pa.array(list(values), pa.string()) for name, values in zip(names, cells, strict=True)}
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(facts)})
    replace_file(path, lambda new: pq.write_table(table, new))


def read_prepared(folder: Path) -> Prepared:
    """Map a prepared set into memory: faces, context and landmarks are views of the file, read when looked at.

    Writing to them changes neither the file nor what others see.

    Raises:
        ValueError: if the folder holds no whole prepared set.
    """
    path = folder / FACES
    try:
        facts = read_facts(path)
        with path.open("rb") as file:
            mapped = mmap.mmap(
                file.fileno(), 0, flags=mmap.MAP_PRIVATE | NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE
            )
        buffer = pa.py_buffer(mapped)
        with pa.ipc.open_file(pa.BufferReader(buffer)) as reader:
            batch = reader.get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"--data: expected a prepared set, {path}: {error}; prepare it anew") from error
    kinds = {"identity": torch.int64, "expression": torch.int64, "landmarks": torch.float32}
    views = {}
    for name in (*PIXELS, *kinds):
        values, shape = _values(batch, name)
        views[name] = torch.frombuffer(
            mapped,
            dtype=kinds.get(name, torch.uint8),
            count=batch.num_rows * int(np.prod(shape, dtype=np.int64)),
            offset=values.address - buffer.address,
        ).view(batch.num_rows, *shape)
    faces = Faces(views["image"], views["identity"], views["expression"], tuple(batch.column("key").to_pylist()))
    expressions = tuple(facts["expressions"]) or None
    shown = {name: value for name, value in facts.items() if name not in ("people", "expressions")}
    return Prepared(
        faces, views["context"], views["landmarks"], tuple(facts["people"]), expressions, facts["name"], shown
    )


def read_facts(path: Path) -> dict[str, Any]:
    """Read the metadata of a prepared set.

    Raises:
        pa.ArrowInvalid: if the file is none.
    """
    with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        metadata = reader.schema.metadata or {}
    if METADATA not in metadata:
        raise pa.ArrowInvalid("it lacks the metadata of a prepared set")
    facts: dict[str, Any] = json.loads(metadata[METADATA])
    return facts


class _Sparse:
    """Write to a file, but skip what comes out of a hole: the file system keeps no blocks for it."""

    closed = False

    def __init__(self, file: BinaryIO, holes: Iterable[pa.Array]) -> None:
        buffers = [hole.storage.values.buffers()[1] for hole in holes]
        self._file = file
        self._holes = [(buffer.address, buffer.address + buffer.size) for buffer in buffers]

    def write(self, data: Any) -> int:
        if isinstance(data, pa.Buffer) and any(low <= data.address < high for low, high in self._holes):
            self._file.seek(data.size, os.SEEK_CUR)
        else:
            self._file.write(data)
        return len(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Leave the file to its owner."""


def _hole(kind: pa.DataType, rows: int) -> pa.Array:
    """Return an array of zeros that takes no memory."""
    count = rows * int(np.prod(kind.shape))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    zeros = pa.py_buffer(mmap.mmap(-1, count, flags=flags, prot=mmap.PROT_READ))
    values = pa.Array.from_buffers(kind.value_type, count, [None, zeros])
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(values, count // rows))


def _array(kind: pa.DataType, values: Any) -> pa.Array:
    """Return an Arrow array of a column's type."""
    if not isinstance(kind, pa.FixedShapeTensorType):
        return pa.array(values, kind)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(flat, int(np.prod(kind.shape))))


def _values(batch: pa.RecordBatch, name: str) -> tuple[pa.Buffer, tuple[int, ...]]:
    """Return the buffer that holds a column's numbers, and the shape of a row."""
    column = batch.column(name)
    if isinstance(column, pa.ExtensionArray):
        return column.storage.values.buffers()[1], tuple(column.type.shape)
    return column.buffers()[1], ()


def _offsets(path: Path) -> dict[str, int]:
    """Return where in a file the pixels begin."""
    with path.open("rb") as file:
        buffer = pa.py_buffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    batch = pa.ipc.open_file(pa.BufferReader(buffer)).get_batch(0)
    return {name: _values(batch, name)[0].address - buffer.address for name in PIXELS}
