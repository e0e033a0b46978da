"""Detection: InsightFace's SCRFD finds faces and their five landmarks (Guo et al., https://arxiv.org/abs/2105.04714)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import torch
from insightface.model_zoo.scrfd import SCRFD
from numpy.typing import NDArray
from torch import Tensor

from evaluators.networks.roles import Found

INPUT = 320
"""Side in px of the square into which a whole picture is fitted."""
CROP_INPUT = 160
"""The same for an aligned crop in its frame: on LFW's clear crops as good as 320 in a quarter of the time."""
THRESHOLD = 0.5
FRAME = 127
"""Gray level of the frame around an aligned crop; repeating the crop's border finds fewer blurred faces."""


@dataclass(frozen=True, eq=False)
class Detection:
    """Hold a face that was found: box (4,) left, top, right, bottom px; score; landmarks (5, 2) px (x, y)."""

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]


class FaceFinder(Protocol):
    """Find faces and their landmarks in a picture."""

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an (H, W, 3) uint8 RGB picture of any size, best score first; none is an empty list."""
        ...


class Scrfd:
    """Keep insightface's SCRFD on the CPU."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load the network.

        Args:
            path: of the ONNX file.
            threads: of ONNX Runtime; None for as many as torch uses.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads or torch.get_num_threads()
        made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.name = path.stem
        self.net = SCRFD(model_file=str(path), session=made)
        self.net.prepare(-1, input_size=(INPUT, INPUT), det_thresh=THRESHOLD)

    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        """Find faces in a picture.

        Args:
            picture: (H, W, 3) uint8 RGB in [0, 255], of any size.
            side: of the square into which it is fitted for the network, px, a multiple of 32.

        Returns:
            the faces, best score first, in px of the picture; none is an empty list.
        """
        height, width = picture.shape[:2]
        if min(height, width) * side < max(height, width):
            return []  # fitted into the square, less than a pixel would be left of the short side
        boxes, landmarks = self.net.detect(np.ascontiguousarray(picture[:, :, ::-1]), input_size=(side, side))
        return [Detection(box[:4], float(box[4]), points) for box, points in zip(boxes, landmarks, strict=True)]

    def __call__(self, images: Tensor) -> Found:
        """Find the face of each aligned crop.

        A crop is set into a gray frame of half its side: the detector has learned faces with something around them.

        Args:
            images: (N, 3, S, S) uint8 RGB in [0, 255].

        Returns:
            on the device of the images.
        """
        margin = images.shape[-1] // 2
        side = images.shape[-1] + 2 * margin
        widths = ((margin, margin), (margin, margin), (0, 0))
        found = torch.zeros(len(images), dtype=torch.bool)
        landmarks = torch.zeros(len(images), 5, 2)
        for i, crop in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
            if faces := self.detect(np.pad(crop, widths, constant_values=FRAME), CROP_INPUT):
                found[i] = True
                landmarks[i] = torch.from_numpy(main_face(faces, side, side).landmarks - margin)
        return Found(found.to(images.device), landmarks.to(images.device))


def main_face(found: list[Detection], width: int, height: int) -> Detection:
    """Choose the face that a portrait is of: large and near the middle, as InsightFace weighs it.

    Args:
        found: at least one.
        width, height: of the picture, px.
    """

    def weight(face: Detection) -> float:
        left, top, right, bottom = (float(v) for v in face.box)
        away = ((left + right - width) / 2) ** 2 + ((top + bottom - height) / 2) ** 2
        return (right - left) * (bottom - top) - 2 * away

    return max(found, key=weight)
