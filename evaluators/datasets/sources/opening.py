"""Sources: sets of faces as their authors publish them, listed picture by picture, with person and expression."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from evaluators.datasets.sources.listing import Source, file_picture
from evaluators.datasets.sources.people import is_folder, is_nobody, list_people
from evaluators.datasets.sources.tables import CELEBA, FER, list_celeba, list_table

SUBJECT = re.compile(r"(subject\d+)\.(\w+)(\.\w+)?")
"""Names of the Yale face database, as subject01.happy."""
SUBJECT_EXPRESSIONS = {"happy": "happy", "sad": "sad", "surprised": "surprise", "normal": "neutral"}
"""Its other pictures (glasses, light, sleepy, wink) show none of the basic expressions: unlabelled."""


def open_source(path: Path, *, option: str = "SOURCE", depth: int | None = None) -> Source:
    """Find out what a path holds, and list its pictures.

    A file is a table: FER2013 (`emotion,pixels`) or a list (`path,identity,expression`). A folder is CelebA if it has
    identity_CelebA.txt, FER2013 if it has that file, the Yale face database if it has subject01.happy and the like, and
    else a folder per person, perhaps a few levels down, as LFW, Pins, ORL and most others.

    Args:
        path: of the set.
        option: that named it.
        depth: how deep the people's folders lie; None to find it out.

    Raises:
        ValueError: if it is none of these, a list is broken, or it is not plain which folders are people's; the
            sentence names the place.
    """
    if path.is_file():
        return list_table(path)
    if not path.is_dir():
        raise ValueError(f"{option}: expected a folder, a CSV file or the name of a set to download, {path} is none")
    try:
        for name in (CELEBA, f"Anno/{CELEBA}"):
            if (path / name).is_file():
                return list_celeba(path, path / name)
        for name in FER:
            if (path / name).is_file():
                return list_table(path / name)
        root = _unwrapped(path)
        names = sorted(entry.name for entry in os.scandir(root))
        if any(SUBJECT.fullmatch(name) for name in names):
            return _subjects(root, names)
        return list_people(path, path.resolve().name, option=option, depth=depth)
    except PermissionError as error:
        raise ValueError(f"{option}: expected a folder that may be read, {error.filename}: {error.strerror}") from None


def read_people(root: Path, depth: int | None = None) -> tuple[Source, dict[str, list[Path]]]:
    """List the pictures of each person, as `orchestrator.prepare` lists them.

    Args:
        root: of the set.
        depth: how deep the people's folders lie; None to find it out.

    Returns:
        the set, and name of the person -> paths, both sorted. Nothing is opened: a broken file is found when it is
        read.

    Raises:
        ValueError: if `root` is no folder of people, it is not plain who they are, or nobody has two pictures.
    """
    if not root.is_dir():
        raise ValueError(f"--data: expected a folder with one folder of pictures per person, {root} is none")
    source = open_source(root, option="--data", depth=depth)
    if any(picture.offset is not None for picture in source.pictures):
        raise ValueError(f"--data: expected pictures of people, {root} is {source.kind}, whose people are not known")
    people: dict[str, list[Path]] = {}
    for picture in source.pictures:
        people.setdefault(picture.identity, []).append(source.root / picture.path)
    people = {name: sorted(people[name]) for name in sorted(people)}
    if max(map(len, people.values())) < 2:
        raise ValueError(
            "--data: expected people with at least 2 pictures (identification needs one in the gallery, one as probe), "
            f"each of the {len(people)} people in {root} has 1"
        )
    return source, people


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


def _unwrapped(root: Path) -> Path:
    """Go down through folders that hold nothing but one folder, as archives unpack."""
    seen = {root.resolve()}
    while True:
        inside = [p for p in sorted(root.iterdir()) if is_folder(p) and not is_nobody(p.name, Counter())]
        if len(inside) != 1 or inside[0].resolve() in seen or not os.access(inside[0], os.R_OK | os.X_OK):
            return root
        root = inside[0]
        seen.add(root.resolve())
