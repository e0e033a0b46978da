"""People: where in a tree of folders they are, which is where the pictures are, and what is nobody."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from evaluators.datasets.sources.listing import Source, file_picture, utf8
from evaluators.datasets.sources.pictures import SUFFIXES

SEEN = "links to folders already seen"
UNREAD = "folder that may not be read"
NOBODY = frozenset(
    (
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "#recycle",
        "lost+found",
        "system volume information",
        "docs",
        "doc",
        "__pycache__",
    )
)
"""What archives, file servers and operating systems leave beside people, in small letters; hidden names are nobody too.
"""
PARTS = frozenset(
    ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "gallery", "probe", "query")
)
"""Names of the parts of a set, in small letters: below them lie the people, who may be in several parts."""
Parts = tuple[str, ...]


def list_people(root: Path, name: str, *, option: str, depth: int | None = None) -> Source:
    """List a set with a folder per person, perhaps some levels down; what lies deeper is the person's too.

    Args:
        root: of the tree.
        name: of the set.
        option: that named it.
        depth: how deep the people's folders lie, 1 for those in `root`; None to find it out.

    Raises:
        ValueError: if there are no pictures in folders, or if it is not plain which folders are people's.
    """
    above = [root, *root.resolve().parents]
    paths: list[Parts] = []
    ignored: Counter[str] = Counter()
    for child in sorted(root.iterdir()):
        if not is_folder(child):
            ignored["hidden" if child.name.startswith(".") else "files beside the people's folders"] += 1
        elif not is_nobody(child.name, ignored):
            found, others = pictures_below(child, above)
            ignored += others
            if not found and not others:
                ignored["empty folders"] += 1
            paths += [path.relative_to(root).parts for path in found]
    if not paths:
        kinds = ", ".join(sorted(SUFFIXES))
        there = ", ".join(f"{what} ({count})" for what, count in ignored.items())
        found_there = f"has none of them, but {there}" if there else "is empty"
        raise ValueError(
            f"{option}: expected one folder of pictures ({kinds}) per person, or a set as its authors publish it "
            f"(CelebA, FER2013, Yale); {root} {found_there}"
        )
    at = depth or _depth_of(paths, root, option)
    people = [parts for parts in paths if len(parts) > at]
    if len(people) < len(paths):
        ignored["pictures above the people's folders"] += len(paths) - len(people)
    if not people:
        raise ValueError(f"--depth: expected pictures in folders {at} deep, {root} has none; lower it")
    wrapped = 0  # folders that hold all the rest, as archives unpack
    while wrapped < at - 1 and len({parts[wrapped] for parts in people}) == 1:
        wrapped += 1
    pins = all(parts[at - 1].startswith("pins_") for parts in people)
    pictures = [
        file_picture("/".join(parts[wrapped:]), parts[at - 1].removeprefix("pins_" if pins else "")) for parts in people
    ]
    return Source("folders", root.joinpath(*people[0][:wrapped]), name, tuple(pictures), dict(ignored))


def _depth_of(paths: Iterable[Parts], root: Path, option: str, at: int = 0) -> int:
    """Find out how deep the people's folders lie.

    Raises:
        ValueError: if that is not plain.
    """
    folders: dict[str, list[Parts]] = {}
    for parts in paths:
        if len(parts) > at + 1:
            folders.setdefault(parts[at], []).append(parts)
    # Folders that hold no picture themselves, but folders with pictures: parts of a set, or people in several sessions.
    holders = {
        name: len({parts[at + 1] for parts in inside})
        for name, inside in folders.items()
        if all(len(parts) > at + 2 for parts in inside)
    }
    if len(holders) == len(folders) and (len(folders) == 1 or {name.lower() for name in folders} <= PARTS):
        return _depth_of([parts for inside in folders.values() for parts in inside], root, option, at + 1)
    largest = max(holders, key=holders.__getitem__, default="")
    if holders and holders[largest] > len(folders):
        beside = [name for name in folders if name != largest]
        raise ValueError(
            f"{option}: expected to see which folders are people's: {root} has {utf8(largest)} with {holders[largest]} "
            f"folders of pictures in it, and {utf8(', '.join(beside[:3]))} beside it; give --depth {at + 1} if these "
            f"{len(folders)} are people, --depth {at + 2} if those in {utf8(largest)} are"
        )
    return at + 1


def pictures_below(folder: Path, avoid: Sequence[Path] = ()) -> tuple[list[Path], Counter[str]]:
    """List the pictures in a folder and whatever lies deeper, links followed, no folder entered twice.

    Args:
        folder: where to begin.
        avoid: folders that are not entered, not even by a link: those in which `folder` lies.

    Returns:
        the paths, sorted; and what else lies there, by kind, folders that may not be read by name. Nothing is opened.
    """
    entered = {_number(place) for place in avoid}
    found: list[Path] = []
    ignored: Counter[str] = Counter()
    left: list[Path] = []

    def enter(place: Path) -> None:
        try:
            number = _number(place)
        except OSError as error:
            refuse(place, error)
            return
        if number in entered:
            ignored[SEEN] += 1
        else:
            entered.add(number)
            left.append(place)

    def refuse(place: Path, error: OSError) -> None:
        ignored[f"{UNREAD}: {utf8(str(place))} ({error.strerror})"] += 1

    enter(folder)
    while left:
        place = left.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            refuse(place, error)
            continue
        for entry in entries:
            path = Path(entry.path)
            if is_folder(path):
                if not is_nobody(entry.name, ignored):
                    enter(path)
            elif entry.name.startswith("."):
                ignored["hidden"] += 1
            elif path.suffix.lower() not in SUFFIXES:
                ignored[f"files {path.suffix.lower() or 'without suffix'}"] += 1
            else:
                found.append(path)  # a link to nothing, or a pipe, is a picture that cannot be read
    return sorted(found), ignored


def is_nobody(name: str, ignored: Counter[str]) -> bool:
    """Tell whether a folder's name says that it is nobody's, and count it."""
    if name.startswith("."):
        ignored["hidden"] += 1
    elif name.lower() in NOBODY:
        ignored[f"folders {name}"] += 1
    else:
        return False
    return True


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder or leads to one; a link to itself, or into what may not be read, does not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _number(folder: Path) -> tuple[int, int]:
    """Tell folders apart, however they are reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino
