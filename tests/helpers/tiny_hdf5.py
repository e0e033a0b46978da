"""HDF5 files of version 0 with groups and float32 datasets, as Keras' writer laid them out."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hdf5_file(arrays: dict[str, NDArray[np.float32]]) -> bytes:
    tree: dict[str, Any] = {}
    for path, value in arrays.items():
        *groups, name = path.split("/")
        at = tree
        for group in groups:
            at = at.setdefault(group, {})
        at[name] = value
    out = bytearray(96)
    root = _object(out, tree)
    head = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
    head += struct.pack("<QQQQ", 0, 2**64 - 1, len(out), 2**64 - 1) + struct.pack("<QQIIQQ", 0, root, 0, 0, 0, 0)
    out[: len(head)] = head
    return bytes(out)


def _object(out: bytearray, value: dict[str, Any] | NDArray[np.float32]) -> int:
    if isinstance(value, dict):
        members = sorted((name, _object(out, one)) for name, one in value.items())
        names, places = bytearray(8), []
        for name, at in members:
            places.append((len(names), at))
            names += name.encode() + bytes(8 - len(name) % 8)
        text = _put(out, bytes(names))
        heap = _put(out, b"HEAP" + bytes(4) + struct.pack("<QQQ", len(names), 2**64 - 1, text))
        node = b"SNOD" + struct.pack("<BBH", 1, 0, len(members))
        node += b"".join(struct.pack("<QQIIQQ", name, at, 0, 0, 0, 0) for name, at in places)
        leaf = _put(out, node)
        branch = b"TREE" + struct.pack("<BBHQQ", 0, 0, 1, 2**64 - 1, 2**64 - 1) + struct.pack("<QQQ", 0, leaf, 0)
        tree = _put(out, branch)
        return _put(out, _header([(0x11, struct.pack("<QQ", tree, heap))]))
    at = _put(out, value.astype("<f4").tobytes())
    space = struct.pack("<BBBB4x", 1, value.ndim, 0, 0) + struct.pack(f"<{value.ndim}Q", *value.shape)
    kind = bytes([0x11, 0x20, 0x1F, 0]) + struct.pack("<I", 4) + struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127)
    layout = b"\x03\x01" + struct.pack("<QQ", at, value.nbytes) + bytes(6)
    # The last message stands in a block of its own, as headers that grew have it.
    rest = _put(out, _message(0x8, layout))
    more = struct.pack("<QQ", rest, 8 + len(layout))
    return _put(out, _header([(0x1, space), (0x3, kind), (0x10, more)], beside=1))


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack("<HHB3x", kind, len(body), 0) + body


def _header(messages: list[tuple[int, bytes]], beside: int = 0) -> bytes:
    body = b"".join(_message(*message) for message in messages)
    return struct.pack("<BBHII4x", 1, 0, len(messages) + beside, 1, len(body)) + body


def _put(out: bytearray, data: bytes) -> int:
    out += bytes(-len(out) % 8)
    at = len(out)
    out += data
    return at
