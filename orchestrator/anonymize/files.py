"""Files: what of the input is a picture or a video, where its result goes, and that no original is in the way."""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from evaluators.datasets.sources.listing import utf8
from evaluators.datasets.sources.pictures import SUFFIXES

VIDEOS = frozenset(
    f".{name}"
    for name in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "m2v", "ts", "mts", "m2ts", "wmv", "asf", "flv"),
        *("f4v", "3gp", "3g2", "ogv", "mxf", "vob"),
    )
)
"""What the names of videos end with."""
PICTURE, VIDEO, OTHER = "picture", "video", "other"
WRITING = ".anonymize-"
"""What the names of files begin with that are being written; number of the process and machine follow."""
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
STATE = ".anonymize"
"""Folder in OUT while it grows: what has been done, and what is being written."""


@dataclass(frozen=True)
class Work:
    """Name a file, what it is, and where its result goes.

    Attributes:
        source: the file.
        target: where the result goes.
        name: path below the input, in UTF-8.
        kind: PICTURE, VIDEO or OTHER.
        scratch: folder for what is being written.
    """

    source: Path
    target: Path
    name: str
    kind: str
    scratch: Path

    def anywhere(self) -> Work:
        """Return the same for a process that has another working folder: paths are absolute."""
        return replace(
            self, source=self.source.absolute(), target=self.target.absolute(), scratch=self.scratch.absolute()
        )

    def temporary(self) -> Path:
        """Return the path of what is being written; its name is short, and ends as the target's."""
        return self.scratch / f"{WRITING}{os.getpid()}.{HOST}{self.target.suffix}"


def list_work(source: Path, out: Path) -> list[Work]:
    """List the files of the input, and make sure that no result would replace an original.

    Args:
        source: a picture, a video, or a folder, which is searched to its bottom; linked folders are not entered.
        out: of one file, the file or the folder that it goes to; of a folder, a folder.

    Raises:
        ValueError: if there is no such input, nothing in it is a picture or a video, or the output lies in it.
    """
    if not source.exists():
        raise ValueError(f"IN: expected a picture, a video or a folder, {source} is not there")
    if not source.is_dir():
        return [_one(source, out)]
    if out.exists() and not out.is_dir():
        raise ValueError(f"OUT: expected a folder, since IN is one, {out} is a file")
    inside, outside = source.resolve(), out.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise ValueError(
            f"OUT: expected a folder outside of IN that does not hold it either, {out} would mix originals and results"
        )
    works = [
        Work(
            path, out / path.relative_to(source), utf8(path.relative_to(source).as_posix()), kind_of(path), out / STATE
        )
        for path in _files(source)
    ]
    for folder in {work.target.parent for work in works}:
        there = folder.resolve()
        if there == inside or inside in there.parents:
            raise ValueError(f"OUT: {folder} leads into IN, where originals would be replaced; choose another folder")
    if not any(work.kind != OTHER for work in works):
        raise ValueError(f"IN: expected pictures ({' '.join(sorted(SUFFIXES))}) or videos, {source} has none")
    return works


def kind_of(path: Path) -> str:
    """Tell a picture and a video from other files by the name."""
    suffix = path.suffix.lower()
    kind = PICTURE if suffix in SUFFIXES else VIDEO if suffix in VIDEOS else OTHER
    try:
        return kind if stat.S_ISREG(path.stat().st_mode) else OTHER
    except OSError:
        return kind  # a link that leads nowhere is a picture that cannot be read


def _one(source: Path, out: Path) -> Work:
    kind = kind_of(source)
    if kind == OTHER:
        raise ValueError(f"IN: expected a picture, a video or a folder of them, {source} is none by its name")
    target = out / source.name if out.is_dir() or not out.suffix else out
    if target.exists() and target.samefile(source):
        raise ValueError(f"OUT: expected another file than IN, {target} is the original")
    if target.suffix.lower() != source.suffix.lower():
        raise ValueError(
            f"OUT: expected a name that ends with {source.suffix}, as IN does, got {target.name!r}; the format is kept"
        )
    return Work(source, target, utf8(source.name), kind, target.parent)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, in an order that does not depend on the machine."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names))


def left_over(works: Sequence[Work]) -> Iterator[Path]:
    """Yield what processes were writing that are no more."""
    for scratch in {work.scratch for work in works}:
        for path in scratch.glob(f"{WRITING}*"):
            number, _, host = path.name.removeprefix(WRITING).partition(".")
            if host.startswith(HOST) and number.isdigit() and not psutil.pid_exists(int(number)):
                yield path
