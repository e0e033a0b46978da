"""The demo world's continuous judge: the renderer knows how far the parts of a face have moved."""

from __future__ import annotations

import torch
from torch import Tensor

from anonymizers import Faces
from evaluators.demo.geometry import MOTIONS


class TrueCoefficients:
    """Describe rendered faces by the motions that they were rendered with; no picture is looked at."""

    name = "demo_coefficients"
    coefficients = MOTIONS
    looks = False
    smile = "corner"

    def describe(self, faces: Faces) -> Tensor:
        """Return the (N, 11) float32 motions that N rendered faces bring as a signal.

        Raises:
            ValueError: if the faces were not rendered.
        """
        if "coefficients" not in faces.signals:
            raise ValueError("judge demo_coefficients: expected rendered faces, which bring their motions, got others")
        return faces.signals["coefficients"].float()

    def __call__(self, images: Tensor) -> Tensor:
        """Return NaN for every picture: the truth is not read off pictures."""
        return torch.full((len(images), len(self.coefficients)), torch.nan, device=images.device)
