"""Learn the gains of the band blur by gradient: what the expression needs against what the identity gives away."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from anonymizers.classical.band_blur import BandBlur, recombine
from anonymizers.faces import Faces
from anonymizers.training import losses


def learn_gains(
    faces: Faces,
    embed: Callable[[Tensor], Tensor],
    read: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    weight: float,
    steps: int = 120,
    batch: int = 32,
    rate: float = 0.08,
    seed: int = 0,
) -> BandBlur:
    """Descend from gains of one half.

    Args:
        faces: whom to learn on.
        embed: (N, 3, S, S) float pictures in [0, 255] to (N, D) of unit norm, with gradients.
        read: such pictures to the teacher's logits and features, with gradients.
        weight: of the cosine between blurred and clear embeddings, beside the expression's loss.
        steps, batch, rate, seed: of the descent.

    Returns:
        The method with the gains that were found, rounded to hundredths.
    """
    generator = torch.Generator().manual_seed(seed)
    free = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=rate)
    for _ in range(steps):
        index = torch.randint(len(faces), (batch,), generator=generator)
        images = faces.images[index].float()
        with torch.no_grad():
            source, reference = embed(images), read(images)
        released = recombine(images, free.sigmoid().to(images.device), faces.scale)
        kept = losses.expression("both", read(released), reference)
        known = losses.repulsion(embed(released), source)
        optimizer.zero_grad()
        (kept + weight * known).backward()
        optimizer.step()
    fine, detail, middle, coarse = (round(float(gain), 2) for gain in free.detach().sigmoid())
    return BandBlur(fine, detail, middle, coarse)
