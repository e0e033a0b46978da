"""Tables: sets of faces that come with a list, as CelebA, FER2013, or a CSV file of one's own."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluators.datasets.sources.listing import Picture, Source, cells_of, file_picture, utf8

CELEBA = "identity_CelebA.txt"
CELEBA_FOLDERS = ("img_celeba", "img_align_celeba", "Img/img_celeba", "Img/img_align_celeba", ".")
"""Where the pictures of CelebA lie: as published in the wild or aligned, or beside the list."""
FER = ("fer2013.csv", "icml_face_data.csv")
FER_EXPRESSIONS = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's classes 0 to 6 (Goodfellow et al., https://arxiv.org/abs/1307.0414), by the names of this project."""


def list_table(path: Path) -> Source:
    """List a CSV file, by its header."""
    with path.open("rb") as file:
        first = file.readline(1 << 16)
    header = [cell.strip().lower() for cell in cells_of(first)]
    if {"emotion", "pixels"} <= set(header):
        return _fer2013(path, header)
    if {"path", "identity"} <= set(header):
        return _listed(path)
    raise ValueError(
        f"{path}: expected a header with path,identity[,expression] or FER2013's emotion,pixels, got {_shown(first)}"
    )


def _fer2013(path: Path, header: Sequence[str]) -> Source:
    """List FER2013: a row per picture, nobody twice; the pixels stay in the file."""
    emotion, pictures = header.index("emotion"), []
    with path.open("rb") as file:
        file.readline()
        offset, row = file.tell(), 1
        while line := file.readline():
            row += 1
            if line.strip():
                cells = cells_of(line)
                label = cells[emotion].strip() if emotion < len(cells) else ""
                if label not in {str(i) for i in range(len(FER_EXPRESSIONS))}:
                    raise ValueError(f"{path}, row {row}: expected an emotion from 0 to 6, got {label!r}")
                key = f"{utf8(path.name)}#{row}"
                pictures.append(Picture(key, path.name, key, FER_EXPRESSIONS[int(label)], offset))
            offset = file.tell()
    if not pictures:
        raise ValueError(f"{path}: expected rows of pixels below the header, got none")
    return Source("fer2013", path.parent, path.stem, tuple(pictures), known=False)


def _listed(path: Path) -> Source:
    """List a table of paths, relative to it or absolute, with persons and perhaps expressions."""
    pictures = []
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.DictReader(file, skipinitialspace=True, strict=True)
        before = 0
        try:
            rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
            before = rows.line_num
            for row in rows:
                cells = {name: (row.get(name) or "").strip() for name in ("path", "identity", "expression")}
                if not cells["path"] or not cells["identity"]:
                    raise ValueError(
                        f"{path}, line {rows.line_num}: expected a path and an identity, got {_short(row)}"
                    )
                # Names may begin or end with a space, so the path is taken as it stands.
                pictures.append(file_picture(row["path"], cells["identity"], cells["expression"] or None))
                before = rows.line_num
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {before + 1}: expected a row of a CSV file, whose quotes are closed, {error}; mend the "
                "row that begins there"
            ) from None
    if not pictures:
        raise ValueError(f"{path}: expected rows of path,identity[,expression] below the header, got none")
    return Source("table", path.parent, path.stem, _unique(pictures, path))


def _shown(line: bytes) -> str:
    """Write what stands in place of a header: text, or what it seems to be."""
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16; save it as UTF-8"
    text = line[:80].decode("utf-8-sig", errors="replace")
    odd = sum(not letter.isprintable() or letter == "\ufffd" for letter in text.strip())
    if odd > len(text) / 10:
        return "no text"
    return repr(text.strip()) if text.strip() else "an empty line"


def _short(row: Mapping[str | None, object]) -> str:
    """Write a row that may be long, or have lines in it."""
    text = repr({name: value for name, value in row.items() if value})
    return text if len(text) <= 200 else f"{text[:200]}…"


def list_celeba(root: Path, listed: Path) -> Source:
    """List CelebA: a line per picture, its name and the number of its person."""
    where = next((f for f in CELEBA_FOLDERS if any((root / f).glob("*.jpg"))), None)
    if where is None:
        raise ValueError(f"SOURCE: expected CelebA's pictures in one of {', '.join(CELEBA_FOLDERS)}, {root} has none")
    prefix = "" if where == "." else f"{where}/"
    pictures = []
    for number, line in enumerate(listed.read_text(errors="surrogateescape").splitlines(), start=1):
        match line.split():
            case [name, identity]:
                pictures.append(file_picture(prefix + name, identity))
            case []:
                continue
            case _:
                raise ValueError(f"{listed}, line {number}: expected a file name and a person's number, got {line!r}")
    named = {Path(picture.path).name for picture in pictures}
    beside = sum(entry.name not in named for entry in os.scandir(root / where) if entry.name.endswith(".jpg"))
    ignored = {"pictures that the list does not name": beside} if beside else {}
    return Source("celeba", root, root.resolve().name, _unique(pictures, listed), ignored)


def _unique(pictures: Sequence[Picture], listed: Path) -> tuple[Picture, ...]:
    """Return the pictures, unless the list names one twice."""
    for key, count in Counter(picture.key for picture in pictures).most_common(1):
        if count > 1:
            raise ValueError(
                f"{listed}: expected each picture once, {key!r} is listed {count} times; delete the others"
            )
    return tuple(pictures)
