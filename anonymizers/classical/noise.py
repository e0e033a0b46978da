from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, of_face
from anonymizers.classical.regions import REGION, mask, within
from anonymizers.faces import Faces
from anonymizers.linear import Linear
from anonymizers.ranges import Choice, Real, ranged


@dataclass(frozen=True)
class Noise(Anonymizer):
    """Add noise to every value of every pixel, independently, then round and clamp.

    Laplace noise is what others call a differentially private picture. By the convention of Fan, Image pixelization
    with differential privacy, DBSec 2018 (https://dl.ifip.org/IFIP-LNCS-10980/hal-01954420), two pictures are neighbors
    if they differ in m pixels, and noise of scale b gives ε = 255 · m / b for them in each channel, see `epsilon`. That
    is a promise about m pixels and none about people, whose pictures differ in all of them: what it hides of a person
    is measured here like everything else.

    Attributes:
        deviation: of the noise, gray levels.
        kind: its distribution.
        region: whole crop or face ellipse.
    """

    method: ClassVar[str] = "noise"
    deviation: float = ranged(Real(1.0, 1000.0, unit="gray levels", log=True), default=50.0)
    kind: str = ranged(Choice(("gaussian", "laplace")), default="gaussian")
    region: str = ranged(REGION, default="crop")

    @property
    def epsilon(self) -> float | None:
        """Return ε of one pixel of a channel (m = 1), nats, by Fan's convention; None for Gaussian noise."""
        return 255 * math.sqrt(2) / self.deviation if self.kind == "laplace" else None

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Draw the noise of each face by its key."""
        out = torch.empty_like(faces.images)
        for place, key in enumerate(faces.key):
            grain = self._grain(faces.images[place].shape, of_face(key, context.seed, "noise")).to(out.device)
            out[place] = (faces.images[place] + self.deviation * grain).round_().clamp_(0, 255).to(torch.uint8)
        return within(self.region, out, faces.images)

    def _grain(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Draw noise of deviation 1, on the CPU."""
        if self.kind == "gaussian":
            return torch.randn(shape, generator=generator)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5
        return (-drawn.sign() * torch.log1p(-2 * drawn.abs()) / math.sqrt(2)).float()

    def linear(self, size: int, scale: float) -> Linear:
        """Return that nothing is mixed: who undoes it weighs what is released against how faces vary."""
        return Linear((torch.eye(size),), (1.0,), 0.0, mask(self.region, size, torch.device("cpu")))
