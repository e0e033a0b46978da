"""A detector that finds one face as large as the picture, and sets prepared with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from evaluators.datasets.alignment import TEMPLATE
from evaluators.networks.detection import Detection, FaceFinder
from orchestrator.prepare import preparation
from orchestrator.prepare.crop_workers import Cutter, Task, cut
from orchestrator.prepare.faces_file import write_shard
from orchestrator.prepare.options import Preparation
from tests.places import ROOT

MODELS = ROOT
"""Any folder: the detector is another one here."""


class Whole:
    """Finds one face as large as the picture; none in a black one, two where the first pixel is pure red."""

    name, digest = "whole", "0" * 64

    def detect(self, picture: np.ndarray) -> list[Detection]:
        height, width = picture.shape[:2]
        if picture[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None].max() == 0:
            return []
        landmarks = (TEMPLATE * [width / 112, height / 112]).astype(np.float32)
        face = Detection(np.array([0, 0, width, height], np.float32), 0.75, landmarks)
        small = Detection(np.array([0, 0, 2, 2], np.float32), 0.5, landmarks / 50)
        return [face, small] if tuple(picture[0, 0]) == (255, 0, 0) else [face]


@dataclass(frozen=True)
class WholeCutter(Cutter):
    """Cuts with that detector, and dies or fails at pictures that are named so."""

    def detector(self) -> FaceFinder:
        return Whole()


@dataclass(frozen=True)
class DyingCutter(WholeCutter):
    def detector(self) -> FaceFinder:
        return Dying()


class Dying(Whole):
    """Kills its process at a picture of 77x77 px, as a broken decoder or the kernel would; fails at one of 78x78."""

    def detect(self, picture: np.ndarray) -> list[Detection]:
        if picture.shape[0] == 77:
            os.kill(os.getpid(), signal.SIGKILL)
        if picture.shape[0] == 78:
            raise RuntimeError("no such operator")
        return super().detect(picture)


def draw(path: Path, seed: int, *, side: int = 112, dark: bool = False, two: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(1, 256, (14, 14, 3), dtype=np.uint8) * (not dark)
    image = Image.fromarray(small.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    image.putpixel((0, 0), (255, 0, 0) if two else (0, 0, 0))
    image.save(path, "png")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for person in range(8):
        for picture in range(5):
            draw(root / f"p{person}" / f"{picture}.png", 10 * person + picture)
    return root


def in_this_process(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
    assert processes >= 1
    for task in tasks:
        write_shard(task.path, cut(cutter, Whole(), task, done), cutter.size)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare with `Whole`, in this process."""
    monkeypatch.setattr(preparation, "load_detector", lambda folder, name, threads: Whole())
    monkeypatch.setattr(preparation, "cut_all", in_this_process)
    monkeypatch.setattr(preparation, "SHARD", 7)


def settings(source: Path, out: Path, **options: object) -> Preparation:
    return Preparation(source=str(source), downloads=out.parent / "cache", out=out, **options)  # type: ignore[arg-type]


def quiet() -> Console:
    return Console(file=open(os.devnull, "w"))  # noqa: PTH123


def rejected(out: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(out / "rejected.parquet").to_pylist()
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: (row["reason"], row["detail"]) for row in rows}
