from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context
from anonymizers.faces import Faces
from anonymizers.ranges import Integer, ranged

EYES = (55.9, 51.6)
"""Middle between the eyes of the ArcFace template, (x, y) in px of the 112 px crop."""


@dataclass(frozen=True)
class EyeBar(Anonymizer):
    """Lay a black bar over the eyes, as newspapers do; what they do not cover is as it was.

    Attributes:
        height: of the bar, px of the 112 px crop.
        width: of the bar, likewise; the eyes' outer corners are about 52 apart.
    """

    method: ClassVar[str] = "eye_bar"
    height: int = ranged(Integer(4, 64, unit="px"), default=20)
    width: int = ranged(Integer(40, 112, unit="px"), default=80)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Set the bar's pixels to black: those whose middle it covers."""
        middle = (torch.arange(faces.size, device=faces.images.device) + 0.5) / faces.scale
        across, down = (middle - EYES[0]).abs() <= self.width / 2, (middle - EYES[1]).abs() <= self.height / 2
        return faces.images.masked_fill(down[:, None] & across[None, :], 0)
