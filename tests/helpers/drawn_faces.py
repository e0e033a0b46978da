"""Pictures with drawn faces, and a finder that finds them: no network finds the demo world's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from anonymizers import Anonymizer, Blur
from evaluators.datasets.alignment import TEMPLATE
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.detection import INPUT, Detection
from orchestrator.anonymize.__main__ import app
from orchestrator.anonymize.faces.finding import Finder
from orchestrator.anonymize.faces.treatment import Ready, Treatment

SPREAD = 1.6
"""Diameter of a drawn face, in distances of 40 px of the crop of 112 px that it stands for."""


def picture(width: int, height: int, faces: Sequence[tuple[int, int, int]] = (), *, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a greenish (height, width, 3) scene with faces: magenta discs of (x, y, diameter) with stripes in them."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 180, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    out = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    out[..., 1] = np.maximum(out[..., 1], 120)
    for x, y, diameter in faces:
        cv2.circle(out, (x, y), diameter // 2, (255, 0, 255), -1)
        for at in range(y - diameter // 3, y + diameter // 3, max(4, diameter // 8)):
            cv2.line(out, (x - diameter // 4, at), (x + diameter // 4, at), (235, 40, 235), max(1, diameter // 30))
    return np.asarray(out, np.uint8)


def is_face(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels have the color of a drawn face."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return (red > 205) & (green < 70) & (blue > 205)


CRASHES, FAILS, LINGERS = (250, 10, 10), (10, 10, 250), (250, 250, 10)
"""Colors of a picture's corner: its process dies, its detector fails, its detector takes its time."""


def marked(pixels: NDArray[np.uint8], deed: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Color the corner of a picture."""
    out = pixels.copy()
    out[:16, :16] = deed
    return out


class DrawnFinder:
    """Find drawn faces by their color, upright, from 5 px of what it looks at on."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        height, width = picture.shape[:2]
        self.asked.append((height, width, side))
        scale = max(1.0, max(height, width) / side)
        small = cv2.resize(picture, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
        _, _, stats, _ = cv2.connectedComponentsWithStats(is_face(small).astype(np.uint8))
        found = []
        for left, top, wide, high, _ in stats[1:]:
            if min(wide, high) >= 5:
                box = np.array([left, top, left + wide, top + high], np.float32) * np.float32(scale)
                points = TEMPLATE / 112 * SPREAD - (SPREAD - 1) / 2 - (0, 0.1)
                marks = box[:2] + points * (box[2:] - box[:2])
                found.append(Detection(box, 0.9, marks.astype(np.float32)))
        return found


def treatment(models: Path, anonymizer: Anonymizer | None = None, **facts: Any) -> Treatment:
    """Make a treatment for drawn faces."""
    return Treatment(anonymizer or Blur(kernel=71), 112, Networks(models=models), **facts)


class DrawnTreatment(Treatment):
    """Find drawn faces in whatever process it is made ready; what a picture's corner says, happens."""

    def ready(self, finder: Finder | None = None) -> Ready:
        if self.background is not None:
            raise ValueError(f"--background: expected people, {self.background} has none")
        return super().ready(_Obeying())


class _Obeying(DrawnFinder):
    def detect(self, picture: NDArray[np.uint8], side: int = INPUT) -> list[Detection]:
        deed = tuple(picture[2, 2].tolist())
        if deed == CRASHES:
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == FAILS:
            raise RuntimeError("a picture on which the detector fails")
        if deed == LINGERS:
            time.sleep(0.1)
        return super().detect(picture, side)


def use_drawn_finder(patch: pytest.MonkeyPatch) -> None:
    """Let runs in this process find drawn faces."""
    patch.setattr("orchestrator.anonymize.faces.treatment.load_detector", lambda *_, **__: DrawnFinder())
    patch.setattr("orchestrator.anonymize.configuration.is_pulled", lambda folder, name: True)


def called(*arguments: object) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(app, [str(one) for one in arguments])
