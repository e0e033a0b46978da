"""Files and folders: files that are whole or absent, the ledger that one process holds, folders that can be written."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

LEDGER = "ledger.arrow"
"""Name of a sweep's ledger in its results folder."""
FRONT = "front.parquet"
"""Name of the table of its front there."""
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that grant no locks, as NFS without its lock service."""
FULL = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger(__name__)


def replace_file(path: Path, write: Callable[[Path], object], *, temporary: Path | None = None) -> None:
    """Write a file under a temporary name, wait for the disk, and give it its name.

    Args:
        path: the name; what it named before is replaced in one step.
        write: called with the temporary path.
        temporary: that path, in the same file system; None for one in the same folder, whose name is longer.

    Raises:
        OSError: if the disk is full, or the folder cannot be written; the sentence names the file.
    """
    new = temporary or path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)  # Arrow's texts name no file
        how = "; make room, then --resume goes on" if error.errno in FULL else ""
        raise OSError(f"{path}: expected to write it, got: {why}{how}") from error
    finally:
        new.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_results(folder: Path, name: str) -> None:
    """Check that a results folder has a file that a command reads.

    Raises:
        ValueError: if it has not.
    """
    if folder.is_file():
        raise ValueError(f"RESULTS: expected the results folder of a search, {folder} is a file; name its folder")
    if not (folder / name).is_file():
        there = "" if folder.is_dir() else ", there is no such folder"
        raise ValueError(f"RESULTS: expected a folder with {name}, {folder} has none{there}; run a search first")


def check_writable(folder: Path, option: str) -> None:
    """Make a folder, and see that files can be made in it.

    Args:
        folder: which.
        option: that named it, as the user knows it.

    Raises:
        ValueError: if they cannot.
    """
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"a place may have room for a name and none for a byte")
        probe.unlink()
    except OSError as error:
        raise unwritable(folder, option, error) from None


def unwritable(folder: Path, option: str, error: OSError) -> ValueError:
    """Return what to raise where a folder that an option names cannot be written."""
    why = error.strerror or str(error)
    return ValueError(f"{option}: expected a folder that can be written, {folder}: {why}; name another one")


def check_free(path: Path | str) -> None:
    """Check that nobody writes a ledger.

    Raises:
        ValueError: if another process holds it.
    """
    os.close(locked(Path(path)))


def locked(path: Path) -> int:
    """Open a ledger for appending and lock it; the lock ends with the descriptor.

    Raises:
        ValueError: if another process holds it, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except (PermissionError, IsADirectoryError) as error:
        raise ValueError(f"{path}: expected a ledger that can be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ValueError(f"{path}: another process writes to this ledger; wait for it or take another name") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(descriptor)
            raise
        log.warning("%s: this file system grants no locks; see to it that no other search writes there", path)
    return descriptor
