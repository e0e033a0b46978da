from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context
from anonymizers.classical.regions import REGION, within
from anonymizers.faces import Faces
from anonymizers.ranges import ranged


@dataclass(frozen=True)
class Blackout(Anonymizer):
    """Set every pixel of the region to black: over the whole crop, the anchor with full privacy and no utility."""

    method: ClassVar[str] = "blackout"
    region: str = ranged(REGION, default="crop")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Return black, and the original outside the region."""
        return within(self.region, torch.zeros_like(faces.images), faces.images)
