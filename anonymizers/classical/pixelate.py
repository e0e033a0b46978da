from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, batches
from anonymizers.classical.regions import REGION, mask, within
from anonymizers.faces import Faces
from anonymizers.linear import Linear
from anonymizers.ranges import Integer, ranged


@dataclass(frozen=True)
class Pixelate(Anonymizer):
    """Replace square blocks by their mean.

    Attributes:
        block: side of a block, px of the 112 px crop; the last blocks are cut where the side does not divide the crop.
        region: whole crop or face ellipse.
    """

    method: ClassVar[str] = "pixelate"
    block: int = ranged(Integer(2, 56, unit="px"))
    region: str = ranged(REGION, default="crop")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Average rows and columns of blocks by one matrix each."""
        operator = self.operator(faces.size, faces.scale).to(faces.images.device)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), context.batch_size):
            original = faces.images[part]
            blocks = operator @ original.float() @ operator.T
            out[part] = within(self.region, blocks.round_().clamp_(0, 255).to(torch.uint8), original)
        return out

    def linear(self, size: int, scale: float) -> Linear:
        """Return the mixing of rows and columns."""
        return Linear((self.operator(size, scale),), (1.0,), 0.0, mask(self.region, size, torch.device("cpu")))

    def operator(self, size: int, scale: float) -> Tensor:
        """Return the (size, size) float32 matrix that replaces each pixel of a column by the mean of its block."""
        # A pixel belongs to the block that holds its center: edges lie at round(i * block * scale).
        block = torch.div(torch.arange(size) + 0.5, self.block * scale, rounding_mode="floor")
        same = (block[:, None] == block[None, :]).double()
        return (same / same.sum(1, keepdim=True)).float()
