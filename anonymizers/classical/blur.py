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
class Blur(Anonymizer):
    """Blur with a Gaussian, as OpenCV does: sigma from the kernel, border reflected without the edge pixel.

    Attributes:
        kernel: odd width, px of the 112 px crop.
        region: whole crop or face ellipse.
    """

    method: ClassVar[str] = "blur"
    kernel: int = ranged(Integer(3, 111, step=2, unit="px"))
    region: str = ranged(REGION, default="crop")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Blur rows and columns by one matrix each."""
        operator = self.operator(faces.size, faces.scale).to(faces.images.device)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), context.batch_size):
            original = faces.images[part]
            blurred = operator @ original.float() @ operator.T
            out[part] = within(self.region, blurred.round_().clamp_(0, 255).to(torch.uint8), original)
        return out

    def linear(self, size: int, scale: float) -> Linear:
        """Return the mixing of rows and columns."""
        return Linear((self.operator(size, scale),), (1.0,), 0.0, mask(self.region, size, torch.device("cpu")))

    def operator(self, size: int, scale: float) -> Tensor:
        """Return the (size, size) float32 matrix that blurs a column; the reflected border is folded into it.

        A matrix costs the same for every kernel, and a kernel may be wider than the picture.
        """
        sigma = 0.3 * ((self.kernel - 1) * 0.5 - 1) + 0.8
        return gaussian(size, sigma * scale, round((self.kernel * scale - 1) / 2))


def gaussian(size: int, sigma: float, half: int | None = None) -> Tensor:
    """Return the (size, size) float32 matrix that blurs a column with a Gaussian, its border reflected.

    Args:
        size: of the picture, px.
        sigma: px of the picture.
        half: where the Gaussian is cut, px; 4 sigma where None.
    """
    half = max(1, round(4 * sigma)) if half is None else half
    offset = torch.arange(-half, half + 1)
    weight = torch.exp(-0.5 * (offset.double() / sigma).square())
    weight /= weight.sum()
    at = torch.arange(size)[:, None] + offset[None, :]
    period = max(1, 2 * (size - 1))
    at = at.remainder(period)
    at = torch.where(at < size, at, period - at)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, at, weight.expand(size, -1))
    return matrix.float()
