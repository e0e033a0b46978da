"""Prepared faces: found, aligned and listed once, then measured as often as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anonymizers import TEMPLATE_SIZE, Faces
from evaluators.alignment import similarity
from evaluators.datasets.pictures import Upright
from evaluators.datasets.split import draw, split_people, split_protocol
from evaluators.detection import FRAME, Detection, FaceFinder, main_face
from evaluators.protocol import ROLES, Protocol

MARGIN = 5 / 14
"""What the context crop shows beyond each border of the aligned crop, in sides of that crop: 40 px of 112, so that its
192 px hold the hair, the ears, the chin and some of what is behind, at the same px per face."""


@dataclass(frozen=True, eq=False)
class Cropped:
    """Hold the face of a picture.

    Attributes:
        image: (S, S, 3) uint8 RGB, aligned to the ArcFace template.
        context: (C, C, 3) uint8 RGB, the same with `MARGIN` around it; both are black where the picture ends.
        landmarks: (5, 2) float32, (x, y) in px of the upright picture in the file.
        score: of the detector, in [0, 1].
        faces: found in the picture.
    """

    image: NDArray[np.uint8]
    context: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    score: float
    faces: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """Hold a prepared set.

    Attributes:
        faces: N aligned crops; the identities index `people`, the expressions `expressions`.
        context: (N, 3, C, C) uint8 RGB in [0, 255], the same faces with `MARGIN` around them.
        landmarks: (N, 5, 2) float32, (x, y) in px of the upright pictures.
        people: names.
        expressions: names of the labels; None where nobody labelled.
        name: of the set.
        facts: what the preparation recorded.
    """

    faces: Faces
    context: Tensor
    landmarks: Tensor
    people: tuple[str, ...]
    expressions: tuple[str, ...] | None
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def context_margin(size: int) -> int:
    """Return the px around an aligned crop of a side in px that its context crop shows."""
    return round(size * MARGIN)


def align_context(
    picture: NDArray[np.uint8], landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE
) -> NDArray[np.uint8]:
    """Warp a picture as `align` does, with a margin around the aligned crop.

    Args:
        picture: (H, W, 3) uint8.
        landmarks: (5, 2) px.
        size: side of the aligned crop in the middle, px.

    Returns:
        (C, C, 3) uint8 with C = size + 2 · context_margin(size), black where the picture ends.
    """
    return _warp(picture, similarity(landmarks, size), size, context_margin(size))


def find_faces(picture: NDArray[np.uint8], detector: FaceFinder) -> list[Detection]:
    """Find the faces in a picture, with a gray frame around it if there are none without.

    A detector has learned faces with something around them, and a picture that a face fills (FER2013, ORL) has nothing.

    Args:
        picture: (H, W, 3) uint8 RGB.
        detector: asked once or twice.

    Returns:
        the faces, in px of the picture; none is an empty list.
    """
    if found := detector.detect(picture):
        return found
    margin = max(picture.shape[:2]) // 2
    framed = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), constant_values=FRAME)
    edges = np.array([margin] * 4, np.float32)
    return [Detection(d.box - edges, d.score, d.landmarks - edges[:2]) for d in detector.detect(framed)]


def crop_face(upright: Upright, detector: FaceFinder, *, size: int, one_face: bool = False) -> Cropped | str:
    """Find the face that a picture is of, and cut it out.

    Args:
        upright: the picture.
        detector: finds faces and their landmarks.
        size: side of the aligned crop, px.
        one_face: whether a picture of several faces is refused; else the main one is taken (`main_face`).

    Returns:
        the face, or why there is none.
    """
    picture = upright.pixels
    found = find_faces(picture, detector)
    if not found:
        return "no face"
    if one_face and len(found) > 1:
        return "several faces"
    face = main_face(found, picture.shape[1], picture.shape[0])
    matrix = similarity(face.landmarks, size)
    return Cropped(
        _warp(picture, matrix, size, 0),
        _warp(picture, matrix, size, context_margin(size)),
        (face.landmarks * upright.scale).astype(np.float32),
        face.score,
        len(found),
    )


def _warp(picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, margin: int) -> NDArray[np.uint8]:
    """Return (C, C, 3): a crop of a side in px and a margin around it, by the (2, 3) matrix from picture to crop."""
    side = size + 2 * margin
    moved = matrix.copy()
    moved[:, 2] += margin
    return np.asarray(cv2.warpAffine(picture, moved, (side, side), borderValue=0.0), dtype=np.uint8)


def protocol_of(
    prepared: Prepared,
    *,
    seed: int = 0,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
    attacker_faces: int = 2500,
    background_faces: int = 500,
) -> Protocol:
    """Make a protocol of a prepared set; of the same pictures it is the one that `folder_protocol` makes.

    Args:
        prepared: the set.
        seed: of the split and of all draws.
        min_pictures, max_pictures: as in `split_people`.
        attacker_faces, background_faces: at most so many are drawn.

    Raises:
        ValueError: if the set cannot carry the measurement.
    """
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(prepared.faces.identity.tolist()):
        rows.setdefault(prepared.people[person], []).append(row)
    if max(map(len, rows.values()), default=0) < 2:
        raise ValueError(
            "--data: expected people with at least 2 pictures (identification needs one in the gallery, one as probe), "
            f"each of the {len(rows)} people in {prepared.name} has 1"
        )
    split = split_people(
        {name: len(of_person) for name, of_person in rows.items()},
        seed=seed,
        min_pictures=min_pictures,
        max_pictures=max_pictures,
    )
    chosen = draw(rows, split, seed=seed, attacker_faces=attacker_faces, background_faces=background_faces)
    drawn = [(role, row) for role in ROLES for _, row in chosen[role]]
    return split_protocol(
        prepared.faces.take([row for _, row in drawn]),
        [role for role, _ in drawn],
        [],
        names=prepared.people,
        split=split,
        seed=seed,
        name=prepared.name,
        expressions=prepared.expressions,
        facts={
            "source": f"prepared {prepared.name}: {len(prepared.faces)} faces of {len(rows)} people",
            "min_pictures": min_pictures,
            "max_pictures": max_pictures,
            "n_read": len(drawn),
            "preparation": dict(prepared.facts),
        },
    )
