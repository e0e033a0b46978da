"""Sources: sets of faces as their authors publish them, listed picture by picture, with person and expression."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evaluators.datasets.sources.listing import Picture, Source, file_picture
from evaluators.datasets.sources.pictures import SUFFIXES
from evaluators.datasets.sources.tables import CELEBA, FER, list_celeba, list_table

SEEN = "links to folders already seen"
SUBJECT = re.compile(r"(subject\d+)\.(\w+)(\.\w+)?")
"""Names of the Yale face database, as subject01.happy."""
SUBJECT_EXPRESSIONS = {"happy": "happy", "sad": "sad", "surprised": "surprise", "normal": "neutral"}
"""Its other pictures (glasses, light, sleepy, wink) show none of the basic expressions: unlabelled."""


def open_source(path: Path) -> Source:
    """Find out what a path holds, and list its pictures.

    A file is a table: FER2013 (`emotion,pixels`) or a list (`path,identity,expression`). A folder is CelebA if it has
    identity_CelebA.txt, FER2013 if it has that file, the Yale face database if it has subject01.happy and the like, and
    else a folder per person, perhaps a few levels down, as LFW, Pins, ORL and most others.

    Raises:
        ValueError: if it is none of these or a list is broken; the sentence names the place.
    """
    if path.is_file():
        return list_table(path)
    if not path.is_dir():
        raise ValueError(f"SOURCE: expected a folder, a CSV file or the name of a set to download, {path} is none")
    for name in (CELEBA, f"Anno/{CELEBA}"):
        if (path / name).is_file():
            return list_celeba(path, path / name)
    for name in FER:
        if (path / name).is_file():
            return list_table(path / name)
    root = _descend(path)
    names = sorted(entry.name for entry in os.scandir(root))
    if any(SUBJECT.fullmatch(name) for name in names):
        return _subjects(root, names)
    return _folders(root, path.resolve().name)


def pictures_below(folder: Path, avoid: Sequence[Path] = ()) -> tuple[list[Path], Counter[str]]:
    """List the pictures in a folder and whatever lies deeper, links followed, no folder entered twice.

    Args:
        folder: where to begin.
        avoid: folders that are not entered, not even by a link: those in which `folder` lies.

    Returns:
        the paths, sorted; and what else lies there, by kind. Nothing is opened.
    """
    entered = {_number(place) for place in avoid}
    found: list[Path] = []
    ignored: Counter[str] = Counter()
    if _number(folder) in entered:
        return [], Counter({SEEN: 1})
    entered.add(_number(folder))
    left = [folder]
    while left:
        for entry in sorted(os.scandir(left.pop()), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                ignored["hidden"] += 1
            elif _is_folder(entry):
                number = _number(Path(entry.path))
                if number in entered:
                    ignored[SEEN] += 1
                else:
                    entered.add(number)
                    left.append(Path(entry.path))
            elif Path(entry.name).suffix.lower() not in SUFFIXES:
                ignored[f"files {Path(entry.name).suffix.lower() or 'without suffix'}"] += 1
            else:
                found.append(Path(entry.path))  # a link to nothing, or a pipe, is a picture that cannot be read
    return sorted(found), ignored


def _folders(root: Path, name: str) -> Source:
    """List a folder per person."""
    pictures: list[Picture] = []
    ignored: Counter[str] = Counter()
    above = [root, *root.resolve().parents]
    people = sorted(root.iterdir())
    pins = all(person.name.startswith("pins_") for person in people if person.is_dir())
    for person in people:
        if person.name.startswith("."):
            ignored["hidden"] += 1
        elif person.is_dir():
            found, others = pictures_below(person, above)
            ignored += others
            identity = person.name.removeprefix("pins_") if pins else person.name
            pictures += [file_picture(path.relative_to(root).as_posix(), identity) for path in found]
        else:
            ignored["files beside the people's folders"] += 1
    if not pictures:
        kinds = ", ".join(sorted(SUFFIXES))
        there = ", ".join(f"{count} {what}" for what, count in ignored.items())
        raise ValueError(
            f"SOURCE: expected one folder of pictures ({kinds}) per person, {CELEBA}, {FER[0]}, or pictures named as "
            f"subject01.happy; {root} has none of them, but {there or 'nothing'}"
        )
    return Source("folders", root, name, tuple(pictures), dict(ignored))


def _subjects(root: Path, names: Sequence[str]) -> Source:
    """List pictures named by person and expression."""
    pictures, others = [], 0
    for name in names:
        if match := SUBJECT.fullmatch(name):
            pictures.append(file_picture(name, match[1], SUBJECT_EXPRESSIONS.get(match[2])))
        else:
            others += 1
    ignored = {"files named otherwise": others} if others else {}
    return Source("subjects", root, root.resolve().name, tuple(pictures), ignored)


def _descend(root: Path) -> Path:
    """Go down through folders that hold nothing but one folder of folders, as archives unpack."""
    seen = {_number(root)}
    while True:
        inside = _folders_in(root)
        if len(inside) != 1 or _number(inside[0]) in seen:
            return root
        names = [entry.name for entry in os.scandir(inside[0])]
        if any(SUBJECT.fullmatch(name) for name in names):
            return inside[0]
        if not _folders_in(inside[0]) or any(Path(name).suffix.lower() in SUFFIXES for name in names):
            return root  # it is a person
        root = inside[0]
        seen.add(_number(root))


def _folders_in(folder: Path) -> list[Path]:
    return [Path(e.path) for e in os.scandir(folder) if _is_folder(e) and not e.name.startswith(".")]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder or leads to one; a link to itself leads nowhere."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def _number(folder: Path) -> tuple[int, int]:
    """Tell folders apart, however they are reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino
