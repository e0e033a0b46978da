"""Truth: what is computed once about the training faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.faces import Faces
from anonymizers.generative.conditioning import CONDITIONINGS, given, told
from anonymizers.generative.nets.noisy_unet import SIDE
from anonymizers.training.recipe import Recipe

Embed = Callable[[Tensor], Tensor]


Read = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Truth:
    """Hold what is computed once about the N training faces.

    Attributes:
        images: (N, 3, 112, 112) uint8.
        given: (N, C, 56, 56) uint8, what the encoder sees, in 255ths.
        told: (N, W) float32, what the decoder is told in words.
        embedding: (N, D) float32, unit norm.
        logits, features: (N, C) and (N, F) float32, the teacher's.
    """

    images: Tensor
    given: Tensor
    told: Tensor
    embedding: Tensor
    logits: Tensor
    features: Tensor


@torch.no_grad()
def look(faces: Faces, recipe: Recipe, embed: Embed, read: Read, device: torch.device) -> Truth:
    """Compute what is known of the training faces; those that lack a signal are left out."""
    from anonymizers.signals import with_signals

    needs = CONDITIONINGS[recipe.conditioning]
    if needs:
        faces = faces.take(torch.nonzero(with_signals(faces, needs, f"training {recipe.name}"))[:, 0])
    parts: list[tuple[Tensor, ...]] = []
    for part in torch.arange(len(faces)).split(recipe.batch):
        few = faces.take(part).to(device)
        images = at_side(few.images)
        logits, features = read(images.float())
        shown = (given(few, recipe.conditioning, recipe.context) * 255).round().to(torch.uint8)
        said = told(few, recipe.conditioning)
        parts.append((images, shown, said, embed(images.float()), logits.float(), features.float()))
    if not parts:
        raise ValueError(f"training {recipe.name}: expected faces with the signals {', '.join(needs)}, got none")
    return Truth(*(torch.cat(column) for column in zip(*parts, strict=True)))


def at_side(images: Tensor) -> Tensor:
    """Return (N, 3, S, S) uint8 pictures at the 112 px that networks draw."""
    if images.shape[-1] == SIDE:
        return images
    images = functional.interpolate(images.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return images.round().clamp(0, 255).to(torch.uint8)


def spread(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a normal distribution to (N, D) embeddings: the (D,) mean, and a (D, D) factor of the covariance."""
    mean = embedding.mean(0)
    covariance = (embedding - mean).double().T @ (embedding - mean).double() / len(embedding)
    values, vectors = torch.linalg.eigh(covariance)
    return mean, (vectors * values.clamp_min(0).sqrt()).T.float()
