from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, batches
from anonymizers.classical import regions
from anonymizers.classical.regions import REGION, within
from anonymizers.faces import Faces
from anonymizers.ranges import Choice, ranged

GRAY = 128


@dataclass(frozen=True)
class Mask(Anonymizer):
    """Cover the region with one color; black is `Blackout`.

    Attributes:
        color: "gray", the same for everybody; "own", the mean of what is covered, which tells skin and light.
        region: whole crop or face ellipse.
    """

    method: ClassVar[str] = "mask"
    color: str = ranged(Choice(("gray", "own")), default="gray")
    region: str = ranged(REGION, default="face")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Fill the region of each picture."""
        if self.color == "gray":
            return within(self.region, torch.full_like(faces.images, GRAY), faces.images)
        out = torch.empty_like(faces.images)
        covered = regions.mask(self.region, faces.size, faces.images.device)
        for part in batches(len(faces), context.batch_size):
            original = faces.images[part]
            mean = original[:, :, covered].double().mean(2).round().to(torch.uint8)
            out[part] = within(self.region, mean[:, :, None, None].expand_as(original), original)
        return out
