"""Copies of a results folder at any place that Arrow or fsspec can write to, such as s3://, gs:// or hdfs://."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import re
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
from pyarrow import fs

from orchestrator.records.arrow.messages import read_stream
from orchestrator.records.files import LEDGER

EVERY = 60.0
"""Seconds between copies while a sweep runs."""
SILENT = 3.0
"""A run that has not copied for so many times EVERY is taken for dead, if nothing else tells."""
OWNER = "copied_by.json"
"""File beside a copy that says which run of which sweep copies there, and when it last did."""

log = logging.getLogger(__name__)


def place_of(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system and the path in it that a URI names.

    Raises:
        ValueError: if neither Arrow nor fsspec knows it, what they need for it is not installed, or nothing answers.
    """
    if re.match(r"(?!file:)[A-Za-z][\w+.-]+:(?!//)", uri):
        raise ValueError(f"--copy-to {uri}: expected a folder, or a URI with // such as s3://bucket/sweep")
    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        try:
            system, path = fsspec.core.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise ValueError(f"--copy-to {uri}: expected a URI that Arrow or fsspec can write to: {error}") from None
        except OSError as error:  # some connect at once
            raise ValueError(f"--copy-to {uri}: expected a place that answers: {error}") from None
        system = fs.PyFileSystem(fs.FSSpecHandler(system))
    return system, path.rstrip("/")


@dataclass
class Copies:
    """Copy a results folder to a URI, as the one run that does.

    Attributes:
        folder: of the results.
        uri: where copies go.
        run: who copies, unlike any other run, of the same sweep too.
    """

    folder: Path
    uri: str
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def claim(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Check that the place can be written and holds nobody else's copy, and take it; before any work.

        Args:
            resume: whether the sweep that is copied there goes on.
            overwrite: whether a sweep that is copied there is replaced.

        Raises:
            ValueError: if the place cannot be written, another run copies there now, or it holds another sweep's copy.
        """
        try:
            owner, there = self._owner(), self._names()
        except Exception as error:  # each file system has its own
            raise ValueError(f"--copy-to {self.uri}: expected a place that can be read and written: {error}") from None
        if owner is not None and _is_alive(owner):
            raise ValueError(
                f"--copy-to {self.uri}: another run copies there, last {time.time() - owner['at']:.0f} s ago from "
                f"{owner['host']}; wait for its end or take another place"
            )
        if LEDGER in there and not (resume or overwrite):
            raise ValueError(
                f"--copy-to {self.uri}: holds the copy of a sweep; give --resume to go on with it, --overwrite to "
                "replace it, or another place"
            )
        if resume:
            self._check_same()
        try:
            self._say("claimed")
        except Exception as error:
            raise ValueError(f"--copy-to {self.uri}: expected a place that can be written: {error}") from None
        if overwrite:
            system, path = place_of(self.uri)
            for name in there - {OWNER}:
                system.delete_file(f"{path}/{name}")

    def copy(self, state: str = "copying") -> None:
        """Copy the files; what is there already under their names is replaced.

        A ledger that is written meanwhile is copied up to some byte: opening the copy cuts what is not whole.

        Raises:
            OSError: if another run took the place.
        """
        owner = self._owner()
        if owner is not None and owner["run"] != self.run:
            raise OSError(f"--copy-to {self.uri}: another run, from {owner['host']}, copies there now; this one stops")
        copy_out(self.folder, self.uri)
        self._say(state)

    def _say(self, state: str) -> None:
        facts = {"run": self.run, "state": state, "host": platform.node(), "pid": os.getpid(), "at": time.time()}
        system, path = place_of(self.uri)
        system.create_dir(path, recursive=True)
        _put(system, f"{path}/{OWNER}", json.dumps(facts).encode())

    def _owner(self) -> dict[str, Any] | None:
        """Return who says to copy there; None for nobody, or words that are no whole JSON."""
        system, path = place_of(self.uri)
        if system.get_file_info(f"{path}/{OWNER}").type != fs.FileType.File:
            return None
        with system.open_input_stream(f"{path}/{OWNER}") as stream, contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(stream.read())
            return found
        return None

    def _names(self) -> set[str]:
        return set(_files_at(self.uri))

    def _check_same(self) -> None:
        """Refuse a copy of another sweep, or of one that went further than the folder."""
        if LEDGER not in self._names() or not (self.folder / LEDGER).is_file():
            return
        mine = (self.folder / LEDGER).read_bytes()
        theirs = _read(self.uri, LEDGER)
        whole = _whole_bytes(theirs)
        if mine[: len(whole)] != whole:
            raise ValueError(
                f"--copy-to {self.uri}: expected a copy of the sweep in {self.folder}, or of an earlier state of it, "
                "found another one; take another place"
            )


def _is_alive(owner: dict[str, Any]) -> bool:
    """Tell whether a run that copied somewhere may still do."""
    if owner["state"] == "over" or time.time() - owner["at"] > SILENT * EVERY:
        return False
    return owner["host"] != platform.node() or (owner["pid"] != os.getpid() and Path(f"/proc/{owner['pid']}").exists())


def _whole_bytes(data: bytes) -> bytes:
    """Return the whole rows of a ledger's bytes; none of bytes that are no ledger."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / LEDGER
        path.write_bytes(data)
        try:
            return data[: read_stream(path).end]
        except ValueError:
            return b""


def _files_at(uri: str) -> dict[str, str]:
    """Return name -> path of the files at a URI."""
    system, path = place_of(uri)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return {Path(info.path).name: info.path for info in found if info.type == fs.FileType.File}


def _read(uri: str, name: str) -> bytes:
    system, path = place_of(uri)
    with system.open_input_stream(f"{path}/{name}") as stream:
        data: bytes = stream.read()
    return data


def _put(system: fs.FileSystem, path: str, data: bytes) -> None:
    """Write a file so that it, or what is written beside it, is whole at every instant, rename or not."""
    folder, _, name = path.rpartition("/")
    new = f"{folder}/.{name}.new"
    with system.open_output_stream(new) as stream:
        stream.write(data)
    try:
        system.move(new, path)
    except (NotImplementedError, pa.ArrowNotImplementedError):  # no rename: the one beside stays till this is whole
        with system.open_output_stream(path) as stream:
            stream.write(data)
        system.delete_file(new)


def copy_out(folder: Path, uri: str) -> None:
    """Copy the files of a results folder to a URI."""
    system, path = place_of(uri)
    system.create_dir(path, recursive=True)
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        _put(system, f"{path}/{file.name}", file.read_bytes())


def copy_in(uri: str, folder: Path) -> None:
    """Copy what a URI holds to a results folder; of a ledger that was being replaced, the longer whole one.

    Raises:
        ValueError: if there is nothing.
    """
    there = _files_at(uri)
    files = {name for name in there if not name.startswith(".") and name != OWNER}
    beside = f".{LEDGER}.new"
    if beside in there:
        files.add(LEDGER)
    if not files:
        raise ValueError(f"--copy-to {uri}: expected the results of a sweep to resume, found nothing")
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files):
        found = [_read(uri, one) for one in (name, beside) if one in there and (one == name or name == LEDGER)]
        longest = found[0] if len(found) == 1 else max(found, key=lambda data: len(_whole_bytes(data)))
        (folder / name).write_bytes(longest)


@contextlib.contextmanager
def copied(copies: Copies | None) -> Iterator[None]:
    """Copy a results folder every minute while the context lasts, and once at its end; None does nothing.

    What fails in the midst is logged, whatever it is, and tried again.

    Raises:
        OSError: if the last copy fails; the results are in the folder.
    """
    if copies is None:
        yield
        return
    over = threading.Event()

    def keep_copying() -> None:
        while not over.wait(EVERY):
            try:
                copies.copy()
            except Exception as error:  # the sweep is worth more than a copy; the last one is not forgiven
                log.warning("copy failed", extra={"reason": f"{type(error).__name__}: {error}"})

    thread = threading.Thread(target=keep_copying, name="copies", daemon=True)
    thread.start()
    ended = False
    try:
        yield
        ended = True
    finally:
        over.set()
        thread.join()
        try:
            copies.copy("over")
        except Exception as error:
            said = f"--copy-to {copies.uri}: the last copy failed: {error}; the results are in {copies.folder}"
            if ended:
                raise OSError(f"{said}, --resume copies them") from error
            log.warning(said)  # what ended the sweep is told
