"""Detection: SCRFD or CenterFace finds faces and their five landmarks.

Sources: Guo et al., Sample and computation redistribution for efficient face detection, ICLR 2022
(https://arxiv.org/abs/2105.04714); Xu et al., CenterFace: joint face detection and alignment using face as point, 2019
(https://arxiv.org/abs/1911.03599).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from insightface.model_zoo.scrfd import SCRFD
from numpy.typing import NDArray
from torch import Tensor

from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.roles import Found

INPUT = 320
"""Side in px of the square into which a whole picture is fitted."""
CROP_INPUT = 160
"""The same for an aligned crop in its frame: on LFW's clear crops as good as 320 in a quarter of the time."""
STEP = 32
"""Of which the sides of what a network is shown are multiples."""
THRESHOLD = 0.5
STRIDE, OVERLAP = 4, 0.3
"""Of CenterFace: px of its input for each of its answers, and the overlap of boxes from which one face is meant."""
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


class FaceDetector(ABC):
    """Find faces in whole pictures, and the face of an aligned crop."""

    name: str
    digest: str

    @abstractmethod
    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        """Find faces in a picture.

        Args:
            picture: (H, W, 3) uint8 RGB in [0, 255], of any size.
            side: of the square into which it is fitted for the network, px, a multiple of 32.

        Returns:
            the faces, best score first, in px of the picture; none is an empty list.
        """

    def __call__(self, images: Tensor) -> Found:
        """Find the face of each aligned crop.

        A crop is set into a gray frame of half its side: a detector has learned faces with something around them.

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


class Scrfd(FaceDetector):
    """Keep insightface's SCRFD on the CPU."""

    def __init__(self, path: Path, *, threads: int | None = None, threshold: float = THRESHOLD) -> None:
        """Load the network.

        Args:
            path: of the ONNX file.
            threads: of ONNX Runtime; None for as many as torch uses.
            threshold: score from which on something is a face.
        """
        made = _session(str(path), threads)
        self.name, self.digest = path.stem, digest_of(path)
        self.net = SCRFD(model_file=str(path), session=made)
        self.net.prepare(-1, input_size=(INPUT, INPUT), det_thresh=threshold)
        # That one keeps a session for each size that it was ever shown; here one serves all of them, as fast.
        self.large = SCRFD(session=made)
        self.large.prepare(-1, input_size=(INPUT, INPUT), det_thresh=threshold)

    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        """Find faces in a picture, see FaceDetector."""
        height, width = picture.shape[:2]
        if min(height, width) * side < max(height, width):
            return []  # fitted into the square, less than a pixel would be left of the short side
        bgr, longest = np.ascontiguousarray(picture[:, :, ::-1]), max(height, width)
        if side <= INPUT:
            boxes, landmarks = self.net.detect(bgr, input_size=(side, side))
        else:  # what of the square would stay black takes up to half of the time
            wide, high = (min(side, math.ceil(extent * side / longest / STEP) * STEP) for extent in (width, height))
            boxes, landmarks = self.large.detect(bgr, input_size=(wide, high))
        return [Detection(box[:4], float(box[4]), points) for box, points in zip(boxes, landmarks, strict=True)]


class CenterFace(FaceDetector):
    """Keep CenterFace on the CPU: every fourth pixel says whether it is the middle of a face, and of which one."""

    def __init__(self, path: Path, *, threads: int | None = None, threshold: float = THRESHOLD) -> None:
        """Load the network, whose file fixes a size that it does not need.

        Args:
            path: of the ONNX file.
            threads: of ONNX Runtime; None for as many as torch uses.
            threshold: score from which on something is a face.
        """
        self.threshold = threshold
        model = onnx.load(path)
        for value in (model.graph.input[0], *model.graph.output):
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if axis != 1:
                    dim.dim_param = f"{value.name}_{axis}"
        self.net = _session(model.SerializeToString(), threads)
        self.name, self.digest = path.stem, digest_of(path)

    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        """Find faces in a picture, see FaceDetector."""
        height, width = picture.shape[:2]
        scale = side / max(height, width)
        wide, high = round(width * scale), round(height * scale)
        if min(wide, high) < 1:
            return []
        fitted = np.zeros((side, side, 3), np.uint8)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        fitted[:high, :wide] = cv2.resize(picture, (wide, high), interpolation=how)
        x = np.ascontiguousarray(fitted.transpose(2, 0, 1)[None], np.float32)
        heat, size, offset, points = (out[0] for out in self.net.run(None, {self.net.get_inputs()[0].name: x}))
        rows, columns = np.nonzero(heat[0] > self.threshold)
        scores = heat[0, rows, columns]
        tall, broad = np.exp(size[:, rows, columns]) * STRIDE
        top, left = (
            (at + moved + 0.5) * STRIDE - extent / 2
            for at, moved, extent in zip((rows, columns), offset[:, rows, columns], (tall, broad), strict=True)
        )
        boxes = np.stack([left, top, broad, tall], 1).tolist()
        kept = cv2.dnn.NMSBoxes(boxes, scores.tolist(), self.threshold, OVERLAP)
        found = []
        for i in np.array(kept, int).flatten():
            marks = points[:, rows[i], columns[i]].reshape(5, 2)  # y, x of each, as shares of the box
            at = np.stack([marks[:, 1] * broad[i] + left[i], marks[:, 0] * tall[i] + top[i]], 1) / scale
            box = np.array([left[i], top[i], left[i] + broad[i], top[i] + tall[i]]) / scale
            box = box.clip(0, [width, height, width, height])
            found.append(Detection(box.astype(np.float32), float(scores[i]), at.astype(np.float32)))
        return sorted(found, key=lambda face: -face.score)


def _session(model: str | bytes, threads: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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
