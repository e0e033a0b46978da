"""Cropping: the face of a picture found, aligned and cut out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizers import TEMPLATE_SIZE
from evaluators.datasets.alignment import similarity
from evaluators.datasets.sources.pictures import Upright
from evaluators.networks.detection import FRAME, Detection, FaceFinder, main_face

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
