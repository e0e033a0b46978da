"""A folder of one folder of pictures per person, as a protocol: read, split by identity, found, aligned, checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from anonymizers import TEMPLATE_SIZE, Faces
from evaluators.datasets.cropping import Cropped, crop_face
from evaluators.datasets.protocol import ROLES, Protocol
from evaluators.datasets.sources.listing import utf8
from evaluators.datasets.sources.opening import read_people
from evaluators.datasets.sources.pictures import UNREADABLE, read_picture
from evaluators.datasets.split import Rejected, draw, split_people, split_protocol, trained_among
from evaluators.networks.detection import FaceFinder


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
        found = pool.map(lambda path: _face_in(path, detector, size), pictures)
        for done, (path, identity, crop) in enumerate(zip(pictures, identities, found, strict=True), start=1):
            key = utf8(path.relative_to(root).as_posix())
            if isinstance(crop, str):
                rejected.append(Rejected(key, crop))
            else:
                crops.append(torch.from_numpy(crop.image).permute(2, 0, 1))
                numbers.append(identity)
                keys.append(key)
            if progress is not None:
                progress(done, len(pictures))
    images = torch.stack(crops) if crops else torch.empty((0, 3, size, size), dtype=torch.uint8)
    unlabelled = torch.full((len(keys),), -1, dtype=torch.int64)
    return Faces(images.contiguous(), torch.tensor(numbers, dtype=torch.int64), unlabelled, tuple(keys)), rejected


def _face_in(path: Path, detector: FaceFinder, size: int) -> Cropped | str:
    """Read a picture and cut its face out, or say why not."""
    try:
        return crop_face(read_picture(path), detector, size=size)
    except UNREADABLE as error:
        return f"unreadable: {type(error).__name__}"


def folder_protocol(
    root: Path,
    detector: FaceFinder,
    *,
    seed: int = 0,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
    attacker_faces: int = 2500,
    background_faces: int = 2500,
    trained: Collection[str] = (),
    size: int = TEMPLATE_SIZE,
    workers: int = 2,
    depth: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Protocol:
    """Make a protocol of a folder of pictures.

    Only the pictures that serve are read; `split_protocol` says what is left out.

    Args:
        root: of a set that `open_source` knows, such as one folder per person.
        detector: finds faces and their landmarks.
        seed: of the split and of all draws.
        min_pictures, max_pictures: as in `split_people`.
        attacker_faces, background_faces: at most so many are drawn.
        trained: as in `split_people`.
        size: side of the crops, px.
        workers: threads.
        depth: how deep the people's folders lie; None to find it out.
        progress: called with (done, total) after each picture.

    Raises:
        ValueError: if the folder cannot carry the measurement.
    """
    source, people = read_people(root, depth)
    split = split_people(
        {name: len(paths) for name, paths in people.items()},
        seed=seed,
        min_pictures=min_pictures,
        max_pictures=max_pictures,
        trained=trained,
    )
    chosen = draw(people, split, seed=seed, attacker_faces=attacker_faces, background_faces=background_faces)
    names = list(people)
    number = {name: i for i, name in enumerate(names)}
    role_of = {
        utf8(path.relative_to(source.root).as_posix()): role for role, drawn in chosen.items() for _, path in drawn
    }
    pairs = [pair for role in ROLES for pair in chosen[role]]
    faces, rejected = load_faces(
        source.root,
        [path for _, path in pairs],
        [number[name] for name, _ in pairs],
        detector,
        size=size,
        workers=workers,
        progress=progress,
    )
    return split_protocol(
        faces,
        [role_of[key] for key in faces.key],
        rejected,
        names=names,
        split=split,
        seed=seed,
        name=root.resolve().name,
        facts={
            "source": f"folder {root.name}: {sum(map(len, people.values()))} pictures of {len(people)} people",
            "min_pictures": min_pictures,
            "max_pictures": max_pictures,
            "depth": depth,
            "n_people_trained_on": len(trained_among(people, trained)),
            "ignored": dict(source.ignored),
            "n_read": len(pairs),
        },
    )
