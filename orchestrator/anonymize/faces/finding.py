"""Finding: every face of a picture, large and small; a face too many is covered, one too few is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluators.datasets.cropping import find_faces
from evaluators.networks.detection import INPUT, STEP, Detection

LOOK, FILM_LOOK = 1280, 640
"""Sides in px at which a large picture, and a frame of a video, are looked at for small faces, where nobody says
another."""
SAME = 0.4
"""Overlap, intersection over union, from which two boxes mean one face."""


class Finder(Protocol):
    """Find faces and their landmarks in a picture that is looked at in a size."""

    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        """Return the faces in an (H, W, 3) uint8 RGB picture fitted into a square of a side, px; none is []."""
        ...


def find_all(picture: NDArray[np.uint8], finder: Finder, *, look: int = LOOK) -> list[Detection]:
    """Find the faces of a picture in two sizes: large faces in a small one, small faces in a large one.

    Where none is found, it is looked for with a frame around the picture, and then in the picture turned by 90, 270 and
    180 degrees.

    Args:
        picture: (H, W, 3) uint8 RGB of any size.
        finder: asked several times.
        look: side of the large size, px.

    Returns:
        the faces, best score first, in px of the picture; none is an empty list.
    """
    found = find_once(picture, finder, look=look)
    small, scale = fitted(picture, look)
    if not found:
        found = [scaled(face, scale) for face in find_faces(small, finder)]
    for turns in (1, 3, 2):
        if found:
            break
        turned = np.ascontiguousarray(np.rot90(small, turns))
        found = [scaled(_turned_back(face, turns, turned), scale) for face in find_once(turned, finder, look=look)]
    return found


def find_once(picture: NDArray[np.uint8], finder: Finder, *, look: int = LOOK) -> list[Detection]:
    """Find the faces of an upright picture in two sizes, see `find_all`."""
    longest = max(picture.shape[:2])
    sides = dict.fromkeys((min(INPUT, look), min(look, math.ceil(longest / STEP) * STEP)))
    found: list[Detection] = []
    for side in sides:
        small, scale = fitted(picture, side)
        found += [scaled(face, scale) for face in finder.detect(small, side)]
    return once(found)


def fitted(picture: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Make a picture smaller, by area, until its longer side is `side` px; return it and px of the picture per px."""
    height, width = picture.shape[:2]
    scale = max(height, width) / side
    if scale <= 1:
        return picture, 1.0
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def once(found: Sequence[Detection]) -> list[Detection]:
    """Return each face once, where boxes overlap the one with the best score; best first."""
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: -face.score):
        if all(overlap(face.box, other.box) < SAME for other in kept):
            kept.append(face)
    return kept


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the intersection over union of two boxes: left, top, right, bottom.

    Example:
        >>> overlap(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2]))
        0.3333333333333333
    """
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    shared = float(wide * high)
    return shared / (float((a[2] - a[0]) * (a[3] - a[1])) + float((b[2] - b[0]) * (b[3] - b[1])) - shared)


def scaled(face: Detection, scale: float) -> Detection:
    """Bring a face of a smaller picture back to the px of the larger one."""
    if scale == 1:
        return face
    return Detection(face.box * np.float32(scale), face.score, face.landmarks * np.float32(scale))


def _turned_back(face: Detection, turns: int, turned: NDArray[np.uint8]) -> Detection:
    """Bring a face of a picture that np.rot90 turned so often back into the picture."""
    height, width = turned.shape[:2]

    def back(points: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y = points[:, 0], points[:, 1]
        there = {1: (height - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, width - 1 - x)}[turns]
        return np.stack(there, 1)

    corners = back(face.box.reshape(2, 2))
    box = np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
    return Detection(box, face.score, back(face.landmarks).astype(np.float32))
