"""Copies of a results folder at any place that Arrow or fsspec can write to, such as s3://, gs:// or hdfs://."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
from pyarrow import fs

EVERY = 60.0
"""Seconds between copies while a sweep runs."""

log = logging.getLogger(__name__)


def place_of(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path in it that a URI names.

    Raises:
        ValueError: if neither Arrow nor fsspec knows it, or what they need for it is not installed.
    """
    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        try:
            system, path = fsspec.core.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise ValueError(f"--copy-to {uri}: expected a URI that Arrow or fsspec can write to: {error}") from None
        system = fs.PyFileSystem(fs.FSSpecHandler(system))
    return system, path.rstrip("/")


def copy_out(folder: Path, uri: str) -> None:
    """Copy the files of a results folder to a URI; what is there already under their names is replaced.

    A ledger that is written meanwhile is copied up to some byte: opening the copy cuts what is not whole.
    """
    system, path = place_of(uri)
    system.create_dir(path, recursive=True)
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        with system.open_output_stream(f"{path}/{file.name}") as stream:
            stream.write(file.read_bytes())


def copy_in(uri: str, folder: Path) -> None:
    """Copy what a URI holds to a results folder.

    Raises:
        ValueError: if there is nothing.
    """
    system, path = place_of(uri)
    selector = fs.FileSelector(path, allow_not_found=True)
    files = [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]
    if not files:
        raise ValueError(f"--copy-to {uri}: expected the results of a sweep to resume, found nothing")
    folder.mkdir(parents=True, exist_ok=True)
    for info in files:
        with system.open_input_stream(info.path) as stream:
            (folder / Path(info.path).name).write_bytes(stream.read())


@contextlib.contextmanager
def copied(folder: Path, uri: str | None) -> Iterator[None]:
    """Copy a results folder to a URI every minute while the context lasts, and once at its end; None does nothing."""
    if uri is None:
        yield
        return
    copy_out(folder, uri)  # a place that cannot be written is found now, not in an hour
    over = threading.Event()

    def keep_copying() -> None:
        while not over.wait(EVERY):
            try:
                copy_out(folder, uri)
            except OSError as error:  # the sweep is worth more than a copy; the last one is not forgiven
                log.warning("copy failed", extra={"reason": str(error)})

    thread = threading.Thread(target=keep_copying, name="copies", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        copy_out(folder, uri)
