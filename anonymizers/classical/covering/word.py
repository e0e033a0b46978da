"""Word: a black picture with a square whose color says the expression, and nothing else; an anchor, no method to use.

It is what a method gains by being told a network's answer. One that is told a word and keeps no more of the expression
than this has kept nothing but the word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context
from anonymizers.faces import Faces
from anonymizers.ranges import Integer, ranged

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255), (0, 255, 255), (255, 0, 255))
"""RGB of each of EXPRESSIONS."""


@dataclass(frozen=True)
class Word(Anonymizer):
    """Release a black picture with a square of one of seven colors in its middle.

    Attributes:
        side: of the square, px of the 112 px crop.
    """

    method: ClassVar[str] = "word"
    needs: ClassVar[tuple[str, ...]] = ("expression",)
    side: int = ranged(Integer(4, 64, unit="px"), default=16)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Paint the squares."""
        out = torch.zeros_like(faces.images)
        side = max(1, round(self.side * faces.size / 112))
        start = (faces.size - side) // 2
        told = faces.signals["expression"][:, 0].long().to(out.device)
        color = torch.tensor(COLORS, dtype=torch.uint8, device=out.device)[told]
        out[:, :, start : start + side, start : start + side] = color[:, :, None, None]
        return out
