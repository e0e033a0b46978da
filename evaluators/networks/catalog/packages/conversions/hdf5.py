"""HDF5 as Keras wrote it: groups, and datasets of float32 in one piece (HDF5 file format specification, version 0)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SPACE, TYPE, LAYOUT, CONTINUED, TABLE = 0x1, 0x3, 0x8, 0x10, 0x11
"""Messages of an object's header that are read; attributes are passed over."""
DEEPEST = 32


def read_datasets(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read every dataset of float32.

    Returns:
        The arrays by their path, with slashes between the names.

    Raises:
        ValueError: if it is no such file.
    """
    if data[:8] != SIGNATURE or data[8:9] != b"\0" or data[13:15] != b"\x08\x08":
        raise ValueError("hdf5: expected a file of version 0 with addresses of 8 bytes")
    found: dict[str, NDArray[np.float32]] = {}
    try:
        _read(data, _number(data, 64, 8), "", found, 0)
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"hdf5: expected a whole file, it cannot be read: {error}") from error
    return found


def _number(data: bytes, at: int, size: int) -> int:
    if not 0 <= at <= len(data) - size:
        raise ValueError(f"hdf5: expected a whole file, it ends before {at + size} bytes")
    return int.from_bytes(data[at : at + size], "little")


def _read(data: bytes, at: int, path: str, found: dict[str, NDArray[np.float32]], depth: int) -> None:
    """Read the object whose header is at an address, and what it holds."""
    if depth > DEEPEST:
        raise ValueError(f"hdf5: expected groups at most {DEEPEST} deep")
    messages: dict[int, bytes] = {}
    for kind, body in _messages(data, at):
        messages.setdefault(kind, body)
    if TABLE in messages:
        tree, heap = struct.unpack_from("<QQ", messages[TABLE])
        names = _number(data, heap + 24, 8)
        for name, child in _entries(data, tree, 0):
            start = names + name
            label = data[start : data.index(b"\0", start)].decode()
            _read(data, child, f"{path}/{label}" if path else label, found, depth + 1)
    elif {SPACE, TYPE, LAYOUT} <= messages.keys() and (array := _dataset(data, messages)) is not None:
        found[path] = array


def _messages(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of an object's header, version 1: kind and body."""
    if _number(data, at, 1) != 1:
        raise ValueError(f"hdf5: expected headers of version 1, got {_number(data, at, 1)}")
    blocks = [(at + 16, _number(data, at + 8, 4))]
    left = _number(data, at + 2, 2)
    while blocks and left > 0:
        start, size = blocks.pop(0)
        end = start + size
        while start + 8 <= end and left > 0:
            kind, length = _number(data, start, 2), _number(data, start + 2, 2)
            body = data[start + 8 : start + 8 + length]
            if kind == CONTINUED:
                blocks.append(struct.unpack_from("<QQ", body))
            yield kind, body
            start, left = start + 8 + length, left - 1


def _entries(data: bytes, at: int, depth: int) -> Iterator[tuple[int, int]]:
    """Yield the members of a group, by its tree: where its name and its header are."""
    if depth > DEEPEST:
        raise ValueError(f"hdf5: expected trees at most {DEEPEST} deep")
    mark, count = data[at : at + 4], _number(data, at + 6, 2)
    if mark == b"SNOD":
        for i in range(count):
            yield _number(data, at + 8 + 40 * i, 8), _number(data, at + 16 + 40 * i, 8)
    elif mark == b"TREE":
        for i in range(count):
            yield from _entries(data, _number(data, at + 32 + 16 * i, 8), depth + 1)
    else:
        raise ValueError(f"hdf5: expected a node of a group, got {mark!r}")


def _dataset(data: bytes, messages: dict[int, bytes]) -> NDArray[np.float32] | None:
    """Read a dataset of little-endian float32 in one piece; None for another type."""
    space, kind, layout = messages[SPACE], messages[TYPE], messages[LAYOUT]
    if kind[0] & 0x0F != 1 or kind[1] & 1 or kind[4:8] != b"\x04\0\0\0":
        return None
    rank = space[1]
    shape: tuple[Any, ...] = struct.unpack_from(f"<{rank}Q", space, 8 if space[0] == 1 else 4)
    if layout[:2] != b"\x03\x01":
        raise ValueError("hdf5: expected datasets in one piece, got another layout")
    start, size = struct.unpack_from("<QQ", layout, 2)
    if size != 4 * int(np.prod(shape, dtype=np.int64)) or start + size > len(data):
        raise ValueError(f"hdf5: expected a dataset of shape {shape}, got {size} bytes")
    return np.frombuffer(data, "<f4", size // 4, start).reshape(shape)
