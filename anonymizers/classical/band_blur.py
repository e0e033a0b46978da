from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, batches
from anonymizers.classical.blur import gaussian
from anonymizers.faces import Faces
from anonymizers.linear import Linear
from anonymizers.ranges import Real, ranged

EDGES = (1.5, 4.0, 10.0)
"""Deviations of the Gaussians between the bands, px of the 112 px crop."""
MIDDLE = 127.5


@dataclass(frozen=True)
class BandBlur(Anonymizer):
    """Weaken the details of each size by a factor of its own: differences of Gaussians, recombined.

    Blur is the special case that removes all bands from the finest up to one; expression and identity need not live in
    the same bands. Differentiable in its gains (`recombine`), so that a loss reaches them.

    Source: Burt and Adelson, The Laplacian pyramid as a compact image code, IEEE Trans. Commun. 1983
    (https://doi.org/10.1109/TCOM.1983.1095851), without subsampling.

    Attributes:
        fine: share that is left of details below 1.5 px.
        detail: of those between 1.5 and 4 px.
        middle: of those between 4 and 10 px.
        coarse: of what is larger, as a difference from middle grey.
    """

    method: ClassVar[str] = "band_blur"
    fine: float = ranged(Real(0.0, 1.0))
    detail: float = ranged(Real(0.0, 1.0))
    middle: float = ranged(Real(0.0, 1.0))
    coarse: float = ranged(Real(0.0, 1.0))

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Recombine the bands of each picture."""
        gains = torch.tensor([self.fine, self.detail, self.middle, self.coarse], device=faces.images.device)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), context.batch_size):
            released = recombine(faces.images[part].float(), gains, faces.scale)
            out[part] = released.round_().clamp_(0, 255).to(torch.uint8)
        return out

    def linear(self, size: int, scale: float) -> Linear:
        """Return the recombination: each Gaussian counts by the difference of two gains."""
        blurs = tuple(gaussian(size, sigma * scale) for sigma in EDGES)
        gains = (self.fine, self.detail, self.middle, self.coarse)
        steps = tuple(after - before for before, after in itertools.pairwise(gains))
        everywhere = torch.ones(size, size, dtype=torch.bool)
        return Linear((torch.eye(size), *blurs), (self.fine, *steps), (1 - self.coarse) * MIDDLE, everywhere)


def recombine(images: Tensor, gains: Tensor, scale: float = 1.0) -> Tensor:
    """Weaken the bands of pictures, differentiably in pictures and gains.

    Args:
        images: (N, 3, S, S) float32 in [0, 255].
        gains: (4,) float32 in [0, 1], from fine to coarse.
        scale: px of the picture in one px of the 112 px crop.

    Returns:
        (N, 3, S, S) float32 in [0, 255] up to rounding.
    """
    # The bands are differences of neighboring Gaussians, so that each Gaussian counts by the difference of two gains.
    out = gains[0] * images + (1 - gains[-1]) * MIDDLE
    for place, sigma in enumerate(EDGES):
        operator = gaussian(images.shape[-1], sigma * scale).to(images)
        out = out + (gains[place + 1] - gains[place]) * (operator @ images @ operator.T)
    return out
