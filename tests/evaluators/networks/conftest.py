"""Real faces for tests of networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluators.datasets.alignment import align
from evaluators.datasets.sources.pictures import read_picture
from evaluators.networks.detection import main_face
from evaluators.networks.loaders import load_detector


@pytest.fixture(scope="session")
def crops(shared: Path) -> Tensor:
    """Aligned faces of LFW, (N, 3, 112, 112) uint8 RGB."""
    detector = load_detector(shared / "models", threads=1)
    out = []
    for who in ("Abdullah_Gul", "Serena_Williams", "Tony_Blair"):
        for number in (1, 2, 3):
            pixels = read_picture(shared / "data" / "lfw" / who / f"{who}_000{number}.jpg").pixels
            face = main_face(detector.detect(pixels), pixels.shape[1], pixels.shape[0])
            out.append(torch.from_numpy(align(pixels, face.landmarks)).permute(2, 0, 1))
    return torch.stack(out)
