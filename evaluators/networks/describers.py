"""Describers: continuous judges of the expression that read pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from anonymizers import Faces
from anonymizers.signals import BLENDSHAPES
from evaluators.networks.signals import framed, landmarker_of

LEFT_OUT = ("_neutral", "eyeLook", "jawLeft", "jawRight", "mouthLeft", "mouthRight")
"""Blendshapes that are no expression: neutral, gaze, sideways jaw and mouth."""


def _sides() -> dict[str, tuple[int, ...]]:
    """Return the coefficients that are left: name without side -> places among the 52."""
    out: dict[str, tuple[int, ...]] = {}
    for place, name in enumerate(BLENDSHAPES):
        if not name.startswith(LEFT_OUT):
            plain = name.removesuffix("Left").removesuffix("Right")
            out[plain] = (*out.get(plain, ()), place)
    return out


class Blendshapes:
    """Describe a face by MediaPipe's blendshapes (Grishchenko et al., 2023), left and right averaged."""

    name = "blendshapes"
    looks = True
    smile = "mouthSmile"

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        """Keep the path of the task file; `threads` landmarkers work side by side."""
        self.path, self.threads = path, threads
        self.coefficients = tuple(_sides())

    def describe(self, faces: Faces) -> Tensor:
        """Describe N clear faces, (N, D) float32 in [0, 1]; NaN where no mesh is found."""
        return self(faces.images)

    def __call__(self, images: Tensor) -> Tensor:
        """Describe (N, 3, S, S) uint8 pictures, (N, D) float32 in [0, 1]; NaN where no mesh is found."""
        parts = [part for part in images.cpu().tensor_split(self.threads) if len(part)]
        with ThreadPoolExecutor(max(1, len(parts))) as pool:
            found = list(pool.map(self._some, parts))
        scores = torch.cat(found) if found else torch.empty(0, len(BLENDSHAPES))
        columns = [scores[:, list(places)].mean(1) for places in _sides().values()]
        return torch.stack(columns, 1).to(images.device)

    def _some(self, images: Tensor) -> Tensor:
        import mediapipe

        out = torch.full((len(images), len(BLENDSHAPES)), torch.nan)
        with landmarker_of(self.path, blendshapes=True) as landmarker:
            for place, image in enumerate(images):
                picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=framed(image))
                if shapes := landmarker.detect(picture).face_blendshapes:
                    out[place] = torch.tensor([shape.score for shape in shapes[0]])
        return out
