"""Alignment: five landmarks onto the ArcFace template."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizers import TEMPLATE_SIZE

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)
"""Eyes, nose tip and mouth corners, (x, y) in px of the 112 px crop (InsightFace,
https://github.com/deepinsight/insightface)."""


def similarity(landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE) -> NDArray[np.float64]:
    """Fit the similarity that brings landmarks onto the template, in least squares.

    Source: Umeyama, Least-squares estimation of transformation parameters, IEEE TPAMI 1991.

    Args:
        landmarks: (5, 2) px (x, y) in the picture.
        size: side of the crop, px.

    Returns:
        (2, 3) float64 matrix from picture to crop.
    """
    target = TEMPLATE * (size / TEMPLATE_SIZE)
    source = landmarks.astype(np.float64)
    center, aim = source.mean(0), target.mean(0)
    a, b = source - center, target - aim
    # In two dimensions the best rotation and scale are one complex number.
    real = (a * b).sum()
    imaginary = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    turn = np.array([[real, -imaginary], [imaginary, real]]) / (a**2).sum()
    return np.hstack([turn, (aim - turn @ center)[:, None]])


def align(picture: NDArray[np.uint8], landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE) -> NDArray[np.uint8]:
    """Warp a picture so that its landmarks lie on the template.

    Args:
        picture: (H, W, 3) uint8.
        landmarks: (5, 2) px.
        size: side of the crop, px.

    Returns:
        (size, size, 3) uint8, black where the picture ends.
    """
    warped = cv2.warpAffine(picture, similarity(landmarks, size), (size, size), borderValue=0.0)
    return np.asarray(warped, dtype=np.uint8)
