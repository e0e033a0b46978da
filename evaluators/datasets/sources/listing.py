"""Listing: what a picture of a set is before it is read, and how it is read."""

from __future__ import annotations

import csv
import hashlib
import io
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluators.datasets.sources.pictures import Upright, read_picture


@dataclass(frozen=True, slots=True)
class Picture:
    """Name a picture of a source.

    Attributes:
        key: unique in the source, UTF-8: the path below the root, or file#row of a table that holds pixels.
        path: of the file, relative to the root or absolute.
        identity: name of the person.
        expression: label, None where unlabelled.
        offset: byte in the file at which the table's row begins; None where the file is the picture.
    """

    key: str
    path: str
    identity: str
    expression: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Source:
    """List a set of faces; nothing has been opened but lists.

    Attributes:
        kind: what it was taken for: folders, celeba, fer2013, table or subjects.
        root: folder to which paths are relative.
        name: of the set.
        pictures: in an order that does not depend on the machine.
        ignored: what else lies there -> how often.
        known: whether the identities are known; else each picture counts as a person of its own.
    """

    kind: str
    root: Path
    name: str
    pictures: Sequence[Picture]
    ignored: Mapping[str, int] = field(default_factory=dict)
    known: bool = True

    @property
    def digest(self) -> str:
        """Return the SHA-256 over the list; what the files hold does not enter."""
        sha = hashlib.sha256(self.kind.encode())
        for picture in self.pictures:
            sha.update(f"{picture.key}\0{picture.identity}\0{picture.expression}\0{picture.offset}\n".encode())
        return sha.hexdigest()


def read_bytes(root: Path, picture: Picture) -> bytes:
    """Read what a picture is made of: its file, or its row of a table.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is a pipe, a device or the like, which might never end.
    """
    path = root / picture.path
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no file")
    with path.open("rb") as file:
        if picture.offset is None:
            return file.read()
        file.seek(picture.offset)
        return file.readline()


def decode(picture: Picture, data: bytes) -> Upright:
    """Decode what `read_bytes` has read.

    Raises:
        One of `UNREADABLE`: if that is no picture; the message says why.
    """
    if not data:
        raise ValueError("the file is empty")
    if picture.offset is None:
        return read_picture(io.BytesIO(data))
    values = np.array(max(cells_of(data), key=len).split(), dtype=np.int64)
    side = int(len(values) ** 0.5)
    if side == 0 or side * side != len(values) or values.min() < 0 or values.max() > 255:
        raise ValueError(f"expected a square of gray levels from 0 to 255, got {len(values)} values")
    return Upright(np.repeat(values.astype(np.uint8).reshape(side, side, 1), 3, axis=2))


def file_picture(path: str, identity: str, expression: str | None = None) -> Picture:
    """Return the picture that is a file, at a path relative to the root or absolute; its names become UTF-8."""
    key = utf8(path)
    return Picture(key, key if key == path else path, utf8(identity), expression and utf8(expression))


def cells_of(line: bytes) -> list[str]:
    """Split a line of a table.

    Raises:
        ValueError: if it is none.
    """
    try:
        return next(csv.reader([line.decode("utf-8-sig", errors="replace")]), [])
    except csv.Error as error:
        raise ValueError(f"no line of a CSV file: {error}") from None


def utf8(name: str) -> str:
    """Return a name that can be written as UTF-8: bytes of another encoding are spelled out."""
    return name.encode("utf-8", errors="backslashreplace").decode()
