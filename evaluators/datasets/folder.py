"""A folder of one folder of pictures per person, as a protocol: read, split by identity, found, aligned, checked."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anonymizers import TEMPLATE_SIZE, Faces
from evaluators.alignment import align
from evaluators.datasets.duplicates import near_duplicates
from evaluators.detection import FaceFinder, main_face
from evaluators.protocol import ROLES, Protocol

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's decoders raise on files that are broken or no pictures."""


@dataclass(frozen=True)
class Rejected:
    """Name a picture that was left out (key: path relative to the root) and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Split:
    """Say whose pictures serve what.

    Attributes:
        background, attacker, evaluation: names of people, disjoint.
        pictures: for every person, the indices of the pictures that were drawn.
        gallery, probe: for every evaluation person, which of them are enrolled and which are searched with.
    """

    background: tuple[str, ...]
    attacker: tuple[str, ...]
    evaluation: tuple[str, ...]
    pictures: Mapping[str, tuple[int, ...]]
    gallery: Mapping[str, tuple[int, ...]]
    probe: Mapping[str, tuple[int, ...]]


def read_people(root: Path) -> dict[str, list[Path]]:
    """List the pictures of each person, a folder per person, whatever lies deeper included; hidden names are ignored.

    Returns:
        name of the person's folder -> paths, both sorted. Nothing is opened: a broken file is found when it is read.

    Raises:
        ValueError: if `root` is no folder, holds no pictures in folders, or nobody has two.
    """
    if not root.is_dir():
        raise ValueError(f"--data: expected a folder with one folder of pictures per person, {root} is none")
    people: dict[str, list[Path]] = {}
    for person in sorted(root.iterdir()):
        if person.name.startswith(".") or not person.is_dir():
            continue
        found: list[Path] = []
        for folder, below, files in os.walk(person):
            below[:] = [name for name in below if not name.startswith(".")]
            names = (name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES)
            found.extend(Path(folder) / name for name in names)
        if found:
            people[person.name] = sorted(found)
    if not people:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"--data: expected pictures ({kinds}) in one folder per person, {root} has none")
    if max(map(len, people.values())) < 2:
        raise ValueError(
            "--data: expected people with at least 2 pictures (identification needs one in the gallery, one as probe), "
            f"each of the {len(people)} people in {root} has 1"
        )
    return people


def split_people(
    pictures_per_person: Mapping[str, int],
    *,
    seed: int,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
) -> Split:
    """Split people into background, attacker and evaluation, and the last one's pictures into gallery and probe.

    By default half of the people are evaluated, drawn among those with at least two pictures, and the others serve in
    equal parts as attacker and background. With `min_pictures` all people with so many are evaluated, and two thirds of
    the others serve as attacker. Half of each evaluation person's pictures, rounded down, are in the gallery.

    Args:
        pictures_per_person: name -> number of pictures; its order does not matter.
        seed: of all draws.
        min_pictures: that an evaluation person has, at least 2.
        max_pictures: drawn of each person, at least 2; None for all.

    Raises:
        ValueError: if fewer than 2 people can be evaluated, nobody is left as attacker, or an argument is below 2.
    """
    for option, value in (("min", min_pictures), ("max", max_pictures)):
        if value is not None and value < 2:
            raise ValueError(f"--{option}-pictures: expected at least 2 (gallery and probe), got {value}")
    rng = np.random.default_rng(seed)
    names = sorted(pictures_per_person)
    drawn = {name: rng.permutation(pictures_per_person[name])[:max_pictures].tolist() for name in names}
    needed = min_pictures or 2
    able = [name for name in names if pictures_per_person[name] >= needed]
    if len(able) < 2:
        raise ValueError(
            f"--min-pictures: expected at least 2 people with {needed} pictures or more, got {len(able)} of "
            f"{len(names)}; lower it or give more pictures"
        )
    if min_pictures is None:
        able = [able[i] for i in sorted(rng.permutation(len(able))[: max(2, len(names) // 2)])]
    chosen = set(able)
    others = [name for name in names if name not in chosen]
    if not others:
        raise ValueError(
            f"--data: expected at least 1 person beside the {len(able)} evaluated ones, for the attackers to train on, "
            "got 0; give more people or raise --min-pictures"
        )
    others = [others[i] for i in rng.permutation(len(others))]
    attackers = -(-len(others) // 2) if min_pictures is None else -(-2 * len(others) // 3)
    return Split(
        background=tuple(sorted(others[attackers:])),
        attacker=tuple(sorted(others[:attackers])),
        evaluation=tuple(able),
        pictures={name: tuple(sorted(drawn[name])) for name in names},
        gallery={name: tuple(sorted(drawn[name][: len(drawn[name]) // 2])) for name in able},
        probe={name: tuple(sorted(drawn[name][len(drawn[name]) // 2 :])) for name in able},
    )


def load_faces(
    root: Path,
    pictures: Sequence[Path],
    identities: Sequence[int],
    detector: FaceFinder,
    *,
    size: int = TEMPLATE_SIZE,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Faces, list[Rejected]]:
    """Read pictures, find in each the face that it is of (`main_face`), and align it.

    Args:
        root: to which the keys are relative.
        pictures: N paths below it.
        identities: N numbers of people.
        detector: finds faces and their landmarks.
        size: side of the crops, px.
        workers: threads; decoding, ONNX Runtime and OpenCV release Python's lock.
        progress: called with (done, total) after each picture.

    Returns:
        the faces, in the order of the pictures, unlabelled; and the pictures that are unreadable or show no face.
    """
    crops, numbers, keys = [], [], []
    rejected = []
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda path: _crop(path, detector, size), pictures)
        for done, (path, identity, crop) in enumerate(zip(pictures, identities, found, strict=True), start=1):
            key = path.relative_to(root).as_posix()
            if isinstance(crop, str):
                rejected.append(Rejected(key, crop))
            else:
                crops.append(torch.from_numpy(crop).permute(2, 0, 1))
                numbers.append(identity)
                keys.append(key)
            if progress is not None:
                progress(done, len(pictures))
    images = torch.stack(crops) if crops else torch.empty((0, 3, size, size), dtype=torch.uint8)
    unlabelled = torch.full((len(keys),), -1, dtype=torch.int64)
    return Faces(images.contiguous(), torch.tensor(numbers, dtype=torch.int64), unlabelled, tuple(keys)), rejected


def _crop(path: Path, detector: FaceFinder, size: int) -> NDArray[np.uint8] | str:
    """Return the aligned face of a picture, or why there is none."""
    try:
        with Image.open(path) as file:
            # The camera's orientation is applied: a face on its side is neither found nor aligned.
            picture = np.array(ImageOps.exif_transpose(file).convert("RGB"))
    except UNREADABLE as error:
        return f"unreadable: {type(error).__name__}"
    found = detector.detect(picture)
    if not found:
        return "no face found"
    return align(picture, main_face(found, picture.shape[1], picture.shape[0]).landmarks, size)


def folder_protocol(
    root: Path,
    detector: FaceFinder,
    *,
    seed: int = 0,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
    attacker_faces: int = 2500,
    background_faces: int = 500,
    size: int = TEMPLATE_SIZE,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Protocol:
    """Make a protocol of a folder of pictures.

    Only the pictures that serve are read. A near-duplicate of a picture on another side is left out, on the side that
    matters less (probe, gallery, attacker, background); people who thereby lose their last gallery or probe picture
    leave the evaluation. Whatever is left out is counted in the protocol's facts.

    Args:
        root: one folder per person.
        detector: finds faces and their landmarks.
        seed: of the split and of all draws.
        min_pictures, max_pictures: as in `split_people`.
        attacker_faces, background_faces: at most so many are drawn.
        size: side of the crops, px.
        workers: threads.
        progress: called with (done, total) after each picture.

    Raises:
        ValueError: if the folder cannot carry the measurement.
    """
    people = read_people(root)
    split = split_people(
        {name: len(paths) for name, paths in people.items()},
        seed=seed,
        min_pictures=min_pictures,
        max_pictures=max_pictures,
    )
    chosen = _chosen(people, split, seed, {"attacker": attacker_faces, "background": background_faces})
    number = {name: i for i, name in enumerate(people)}
    role_of = {path: role for role, drawn in chosen.items() for _, path in drawn}
    pairs = [pair for role in ROLES for pair in chosen[role]]
    faces, rejected = load_faces(
        root,
        [path for _, path in pairs],
        [number[name] for name, _ in pairs],
        detector,
        size=size,
        workers=workers,
        progress=progress,
    )
    roles = [role_of[root / key] for key in faces.key]
    kept, dropped = _sort_out(faces, roles)
    rejected += dropped
    reasons = Counter(reject.reason.partition(" of ")[0] for reject in rejected)
    enrolled = {role: {int(faces.identity[i]) for i in kept if roles[i] == role} for role in ROLES}
    if len(enrolled["gallery"]) < 2 or not enrolled["attacker"]:
        raise ValueError(
            f"--data: expected at least 2 people with a gallery and a probe face and 1 attacker person, got "
            f"{len(enrolled['gallery'])} and {len(enrolled['attacker'])} in {root} after {dict(reasons)}; give other "
            "pictures"
        )
    facts: dict[str, Any] = {
        "source": f"folder {root.name}: {sum(map(len, people.values()))} pictures of {len(people)} people",
        "min_pictures": min_pictures,
        "max_pictures": max_pictures,
        "n_read": len(pairs),
        "rejected": len(rejected),
        "rejected_reasons": dict(reasons),
        "rejected_pictures": {reject.key: reject.reason for reject in rejected},
        "left_evaluation": sorted(set(split.evaluation) - {list(people)[i] for i in enrolled["gallery"]}),
    }
    background, attacker, gallery, probe = (faces.take([i for i in kept if roles[i] == role]) for role in ROLES)
    return Protocol(background, attacker, gallery, probe, seed=seed, name=root.resolve().name, facts=facts)


def _chosen(
    people: Mapping[str, Sequence[Path]], split: Split, seed: int, most: Mapping[str, int]
) -> dict[str, list[tuple[str, Path]]]:
    """Return (person, picture) for each role; of attackers and background at most so many, drawn."""
    chosen = {
        "gallery": [(name, people[name][i]) for name in split.evaluation for i in split.gallery[name]],
        "probe": [(name, people[name][i]) for name in split.evaluation for i in split.probe[name]],
    }
    for stream, (role, names) in enumerate((("attacker", split.attacker), ("background", split.background)), start=1):
        pairs = [(name, people[name][i]) for name in names for i in split.pictures[name]]
        order = np.random.default_rng([seed, stream]).permutation(len(pairs))[: most[role]]
        chosen[role] = [pairs[i] for i in sorted(order)]
    return chosen


def _sort_out(faces: Faces, roles: Sequence[str]) -> tuple[list[int], list[Rejected]]:
    """Drop pictures that stand on two sides, and then people without gallery or probe."""
    twins = near_duplicates(faces.images, torch.tensor([ROLES.index(role) for role in roles], dtype=torch.int64))
    rejected = [Rejected(faces.key[i], f"near-duplicate of {faces.key[j]}") for i, j in twins.items()]
    left = [i for i in range(len(faces)) if i not in twins]
    who = {role: {int(faces.identity[i]) for i in left if roles[i] == role} for role in ("gallery", "probe")}
    kept = []
    for i in left:
        lacking = [role for role in who if roles[i] in who and int(faces.identity[i]) not in who[role]]
        if lacking:
            rejected.append(Rejected(faces.key[i], f"the person's last {lacking[0]} picture was rejected"))
        else:
            kept.append(i)
    return kept, rejected
