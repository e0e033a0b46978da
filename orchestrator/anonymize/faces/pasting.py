"""Pasting: the way of a face from the picture to its aligned crop, and back to where it was.

What was measured of a configuration are aligned crops of some px. Here a face is brought to that very crop, anonymized,
and brought back from it: whatever of the face lies in the crop reaches the released picture through the method alone,
and nobody gets more of it than the attackers had who were measured.

What lies around the crop no attacker was shown. A rim of it (chin, forehead, and as much as the detector's box reaches
beyond) is covered by the crop's own edge, drawn outwards, and a soft border leads over to the picture as it was. Hair,
ears, clothes and the scene remain, and may say who it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizers import TEMPLATE_SIZE
from evaluators.datasets.alignment import similarity
from evaluators.networks.detection import Detection

AROUND, BORDER = 8.0, 12.0
"""Px of the 112 px crop: the rim around the crop that is covered as wholly as the crop, and the soft border behind."""
WIDEST = 56.0
"""Px of the 112 px crop: so far the rim follows the detector's box at most."""


@dataclass(frozen=True, eq=False)
class Place:
    """Say where a face's crop lies in a picture.

    Attributes:
        matrix: (2, 3) float64 from picture to crop, both in px whose centers are whole numbers.
        size: side of the crop, px.
        rim: around it, px of the crop, covered wholly.
        border: around the rim, px of the crop, in which the picture as it was returns.
    """

    matrix: NDArray[np.float64]
    size: int
    rim: float
    border: float

    @property
    def scale(self) -> float:
        """Return px of the crop per px of the picture."""
        return math.hypot(self.matrix[0, 0], self.matrix[1, 0])

    def corners(self, beyond: float) -> NDArray[np.float64]:
        """Return the (4, 2) corners, in px of the picture, of the crop with so many px of it added at each side."""
        low, high = -0.5 - beyond, self.size - 0.5 + beyond
        square = np.array([[low, low], [high, low], [high, high], [low, high]])
        return np.asarray((square - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T)

    def window(self, beyond: float, width: int, height: int) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom of the part of a picture in which these corners lie; empty where none do."""
        corners = self.corners(beyond)
        left, top = np.floor(corners.min(0)).astype(int) - 2
        right, bottom = np.ceil(corners.max(0)).astype(int) + 3
        left, top = max(0, int(left)), max(0, int(top))
        return left, top, max(left, min(width, int(right))), max(top, min(height, int(bottom)))


def place_of(face: Detection, size: int, *, around: float = AROUND, border: float = BORDER) -> Place:
    """Align a face.

    Args:
        face: that was found.
        size: side of the crop, px.
        around: rim, px of the 112 px crop; wider where the middle of a side of the face's box lies farther out.
        border: soft border, px of the 112 px crop.

    Raises:
        ValueError: if its landmarks lie in one point.
    """
    with np.errstate(all="ignore"):
        matrix = similarity(face.landmarks, size)
    if not np.isfinite(matrix).all() or math.hypot(matrix[0, 0], matrix[1, 0]) < 1e-6:
        raise ValueError("its landmarks lie in one point")
    scale = size / TEMPLATE_SIZE
    left, top, right, bottom = (float(v) for v in face.box)
    x, y = (left + right) / 2, (top + bottom) / 2
    middles = np.array([[x, top], [x, bottom], [left, y], [right, y]]) @ matrix[:, :2].T + matrix[:, 2]
    out = max(float((-0.5 - middles).max()), float((middles - (size - 0.5)).max()))
    return Place(matrix, size, max(around * scale, min(out, WIDEST * scale)), border * scale)


def cut(picture: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    """Cut a crop out, as `evaluators.datasets.alignment.align` does; much larger faces are made smaller by area first.

    Args:
        picture: (H, W, 3) uint8.
        place: where.

    Returns:
        (S, S, 3) uint8, black where the picture ends.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = place.window(1.0, width, height)
    if left >= right or top >= bottom:
        return np.zeros((place.size, place.size, 3), np.uint8)
    part = picture[top:bottom, left:right]
    matrix = place.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    if (smaller := int(1 / place.scale)) >= 2:
        wide, high = max(1, (right - left) // smaller), max(1, (bottom - top) // smaller)
        factors = np.array([(right - left) / wide, (bottom - top) / high])
        part = np.asarray(cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, 2] += matrix[:, :2] @ ((factors - 1) / 2)  # a px of the smaller one is the middle of several
        matrix[:, :2] *= factors
    crop = cv2.warpAffine(part, matrix, (place.size, place.size), borderValue=0.0)
    return np.asarray(crop, np.uint8)


def paste(picture: NDArray[np.uint8], crop: NDArray[np.uint8], place: Place) -> None:
    """Put a crop back into the picture, which is written to.

    Args:
        picture: (H, W, 3) uint8.
        crop: (S, S, 3) uint8.
        place: where it was.
    """
    height, width = picture.shape[:2]
    beyond = place.rim + place.border
    left, top, right, bottom = place.window(beyond, width, height)
    if left >= right or top >= bottom:
        return
    matrix = place.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    share = _share(matrix, place, right - left, bottom - top)
    margin = math.ceil(beyond) + 2
    drawn = cv2.copyMakeBorder(crop, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    matrix[:, 2] += margin
    if (smaller := int(place.scale)) >= 2:
        side = max(1, drawn.shape[0] // smaller)
        factor = drawn.shape[0] / side
        drawn = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
        matrix[:, 2] = (matrix[:, 2] + 0.5) / factor - 0.5
        matrix[:, :2] /= factor
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(drawn, matrix, (right - left, bottom - top), flags=how, borderMode=cv2.BORDER_REPLICATE)
    part = picture[top:bottom, left:right]
    mixed = part + share[..., None] * (back.astype(np.float32) - part)
    part[...] = np.where(share[..., None] == 1, back, np.rint(mixed)).astype(np.uint8)


def blacken(picture: NDArray[np.uint8], box: NDArray[np.floating]) -> None:
    """Set the pixels of a box, left, top, right, bottom px, to black, in the picture itself."""
    height, width = picture.shape[:2]
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    picture[top : max(top, min(height, math.ceil(box[3]))), left : max(left, min(width, math.ceil(box[2])))] = 0


def layers(places: Sequence[Place]) -> list[list[int]]:
    """Say which faces may be worked on together: smaller ones first, and those that touch one after the other.

    A larger face is cut out after a smaller one that touches it was put back: what of the small one lies in its crop is
    anonymized already, and what of the large one the small crop has shown is covered once more.

    Args:
        places: of the faces of a picture.

    Returns:
        Positions in `places`; in one list none touches another.
    """
    boxes = []
    for place in places:
        corners = place.corners(place.rim + place.border)
        boxes.append((*corners.min(0), *corners.max(0)))
    level: dict[int, int] = {}
    for here in sorted(range(len(places)), key=lambda n: (-places[n].scale, n)):
        touched = [level[other] for other in level if _touch(boxes[here], boxes[other])]
        level[here] = 1 + max(touched, default=-1)
    return [[n for n in sorted(level) if level[n] == depth] for depth in range(max(level.values(), default=-1) + 1)]


def _touch(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _share(matrix: NDArray[np.float64], place: Place, width: int, height: int) -> NDArray[np.float32]:
    """Return (H, W) in [0, 1]: 1 where a px's center lies in crop or rim, then smoothly down to 0 over the border."""
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    low, high = -0.5 - place.rim, place.size - 0.5 + place.rim
    away = np.zeros((height, width), np.float32)
    for row in matrix.astype(np.float32):
        at = row[0] * x + row[1] * y + row[2]
        np.maximum(away, np.maximum(low - at, at - high), out=away)
    if place.border <= 0:
        return (away <= 0).astype(np.float32)
    left = np.clip(1 - away / np.float32(place.border), 0, 1)
    return np.asarray(left * left * (3 - 2 * left), np.float32)
