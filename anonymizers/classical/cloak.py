from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, of_face, padded
from anonymizers.faces import TEMPLATE_SIZE, Faces
from anonymizers.ranges import Integer, ranged

BATCH = 16
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape, and signs on rounding."""
REACH = 2.5
"""Way that the steps can go in all, in units of epsilon."""


@dataclass(frozen=True)
class Cloak(Anonymizer):
    """Add an adversarial pattern that turns the embedder away from the person, within a bound that hardly shows.

    An example of a method that a fixed attacker overrates: the pattern is made against the very embedder that searches,
    and another family of embedders, or one who learns from cloaked pictures, is hardly impressed.

    Source: projected gradient descent of Madry et al., ICLR 2018 (https://arxiv.org/abs/1706.06083), on the cosine to
    the clear picture; for faces: Shan et al., Fawkes, USENIX Security 2020 (https://arxiv.org/abs/2002.08327).

    The pattern has the resolution of the 112 px crop; in larger crops each of its pixels is a square.

    Attributes:
        epsilon: bound of the change of every value, grey levels of 255.
        steps: of the descent.
    """

    method: ClassVar[str] = "cloak"
    needs_embedder: ClassVar[bool] = True
    epsilon: int = ranged(Integer(1, 32, unit="grey levels", log=True))
    steps: int = ranged(Integer(1, 40, log=True), default=10)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Find the pattern of each face by gradient descent, from a random start that its key decides.

        Raises:
            ValueError: if the context brings no embedder.
        """
        if context.embed is None:
            raise ValueError(
                f"{self!r}: expected an embedder with gradients in the context, got none; load the networks with "
                "differentiable=True"
            )
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            images = faces.images[part]
            start = torch.stack([_start(key, context.seed) for key in faces.key[part]]).to(images.device)
            filled = padded(images, BATCH).float()
            pattern = padded(start, BATCH) * self.epsilon
            pattern = self._descend(filled, pattern, context.embed)
            released = (filled + _spread(pattern, faces.size)).round_().clamp_(0, 255)
            out[part] = released[: len(images)].to(torch.uint8)
        return out

    def _descend(self, images: Tensor, pattern: Tensor, embed: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the (B, 3, 112, 112) pattern after all steps, within epsilon."""
        size, step = images.shape[-1], REACH * self.epsilon / self.steps
        with torch.no_grad():
            clear = embed(images)
        for _ in range(self.steps):
            with torch.enable_grad():
                pattern = pattern.detach().requires_grad_()
                released = (images + _spread(pattern, size)).clamp(0, 255)
                loss = (embed(released) * clear).sum()
                (slope,) = torch.autograd.grad(loss, pattern)
            pattern = (pattern.detach() - step * slope.sign()).clamp_(-self.epsilon, self.epsilon)
        return pattern


def _start(key: str, seed: int) -> Tensor:
    """Draw a (3, 112, 112) start in [-1, 1]: at the clear picture itself the cosine has no slope."""
    return 2 * torch.rand(3, TEMPLATE_SIZE, TEMPLATE_SIZE, generator=of_face(key, seed, "cloak")) - 1


def _spread(pattern: Tensor, size: int) -> Tensor:
    """Bring a pattern to the size of the crop."""
    return pattern if size == TEMPLATE_SIZE else functional.interpolate(pattern, size=(size, size), mode="nearest")
