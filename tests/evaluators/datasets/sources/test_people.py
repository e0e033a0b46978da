"""People are where pictures are, in trees as archives, servers and authors leave them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluators.datasets.folder import read_people
from evaluators.datasets.sources import people
from evaluators.datasets.sources.listing import Source
from evaluators.datasets.sources.opening import open_source


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), len(name)).save(path, "png")
    return root


def of(*names: str, pictures: int = 2, below: str = "") -> list[str]:
    return [f"{below}{name}/{i}.png" for name in names for i in range(pictures)]


def who(source: Source) -> dict[str, int]:
    identities = [picture.identity for picture in source.pictures]
    return {name: identities.count(name) for name in sorted(set(identities))}


EIGHT = tuple(f"p{i}" for i in range(8))


@pytest.mark.parametrize(
    "stray",
    [
        "__MACOSX/faces/p0",
        "@eaDir",
        "$RECYCLE.BIN/S-1",
        "#recycle",
        "docs",
        "lost+found",
        ".Trash-1000",
        "faces/@eaDir",
    ],
)
def test_what_systems_leave_beside_people_is_nobody(stray: str, tmp_path: Path) -> None:
    put(tmp_path, *of(*EIGHT, below="faces/"), f"{stray}/x.png", "faces/p0/._0.png", f"{stray}/._x.png")
    put(tmp_path, "faces/p0/@eaDir/0.png/SYNOPHOTO_THUMB_M.png")
    (tmp_path / "nothing").mkdir()
    source = open_source(tmp_path)
    assert who(source) == dict.fromkeys(EIGHT, 2) and source.root == tmp_path / "faces"
    kind = next(part for part in stray.split("/") if part != "faces")
    assert source.ignored["hidden" if kind.startswith(".") else f"folders {kind}"] >= 1
    assert source.ignored["empty folders"] == 1


def test_parts_of_a_set_are_no_people(tmp_path: Path) -> None:
    put(tmp_path, *of("ana", "ben", below="Train/"), *of("ana", "cem", below="val/"), *of("dan", below="test/"))
    source = open_source(tmp_path)
    assert who(source) == {"ana": 4, "ben": 2, "cem": 2, "dan": 2}
    assert source.pictures[0].key == "Train/ana/0.png" and source.root == tmp_path
    put(tmp_path.parent / "wrapped", *of("ana", "ben", below="x/y/train/"), *of("cem", below="x/y/test/"))
    source = open_source(tmp_path.parent / "wrapped")
    assert who(source) == {"ana": 2, "ben": 2, "cem": 2} and source.root == tmp_path.parent / "wrapped" / "x" / "y"


def test_what_lies_below_a_person_is_his(tmp_path: Path) -> None:
    put(tmp_path, *of("ana/2020", "ana/2021", "ben/2020", "cem"), "ben/x.png")
    assert who(open_source(tmp_path)) == {"ana": 4, "ben": 3, "cem": 2}


def test_where_it_is_not_plain_who_the_people_are_it_is_asked(tmp_path: Path) -> None:
    put(tmp_path, *of(*EIGHT, below="faces/"), "stray/x.png", "stray/y.png")
    asked = (
        f"SOURCE: expected to see which folders are people's: {tmp_path} has faces with 8 folders of pictures in it, "
        "and stray beside it; give --depth 1 if these 2 are people, --depth 2 if those in faces are"
    )
    with pytest.raises(ValueError, match=re.escape(asked)):
        open_source(tmp_path)
    assert who(open_source(tmp_path, depth=1)) == {"faces": 16, "stray": 2}
    source = open_source(tmp_path, depth=2)
    assert who(source) == dict.fromkeys(EIGHT, 2) and source.ignored["pictures above the people's folders"] == 2
    with pytest.raises(ValueError, match="--depth: expected pictures in folders 3 deep"):
        open_source(tmp_path, depth=3)
    with pytest.raises(ValueError, match="--data: expected to see which folders"):
        read_people(tmp_path)
    assert list(read_people(tmp_path, depth=2)[1]) == list(EIGHT)


def test_a_search_lists_the_people_that_a_preparation_lists(tmp_path: Path) -> None:
    put(tmp_path, *of(*EIGHT, below="faces/"), "__MACOSX/x.png")
    source, found = read_people(tmp_path)
    assert source == open_source(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == who(source)


def test_a_folder_that_may_not_be_read_costs_its_pictures_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, *of(*EIGHT), "p0/inner/x.png")
    closed = (tmp_path / "p3", tmp_path / "p0" / "inner")
    scan = os.scandir

    def refuse(place: Any) -> Any:
        if Path(place) in closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return scan(place)

    monkeypatch.setattr(people.os, "scandir", refuse)
    source = open_source(tmp_path)
    assert who(source) == {name: 2 for name in EIGHT if name != "p3"}
    named: Sequence[str] = [f"folder that may not be read: {path} (Permission denied)" for path in closed]
    assert dict.fromkeys(named, 1).items() <= source.ignored.items()


def test_a_set_that_may_not_be_read_at_all_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ValueError, match=f"SOURCE: expected a folder that may be read, {tmp_path}: Permission denied"):
        open_source(tmp_path)
