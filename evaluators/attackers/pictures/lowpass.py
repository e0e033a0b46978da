"""The low-pass attacker: what is left of a person where all details are drawn anew, the colors of a blurred face.

A generator that sees its source as a few blurred pixels may let them through: hair, skin, light. On other people a
ridge learns which clear blocks belong to the released ones; probes are then compared, by what the regression can tell,
with the means of the clear gallery, and classified by the gallery that he anonymized and mapped himself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.embeddings.galleries import added
from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning import plda, ridge

SIDE = 14
"""Blocks on a side."""
SHRINKAGE = 0.1
"""Share of the mean variance in the covariance of what the regression misses."""


def identify(evidence: Evidence) -> Tensor:
    """Map blocks of probes and gallery on what they show of clear faces, then search and classify.

    Returns:
        (N, P) scores, higher for a likelier person; equal ones where there are too few other faces to learn from.
    """
    clear = evidence.clear
    person, people = clear.gallery_person, clear.people
    if len(evidence.attacker) < 2:
        return torch.zeros(len(evidence.probe), people, device=person.device)

    def treat() -> tuple[Tensor, ...]:
        target = blocks(clear.attacker.images).float() / 255
        fitted, unseen = ridge.fit(blocks(evidence.attacker), target)
        missed = target - unseen
        spread = missed.T @ missed / len(missed)
        spread += (SHRINKAGE * spread.trace() / len(spread)).clamp_min(1e-9) * torch.eye(len(spread)).to(spread)
        whitening = torch.linalg.cholesky(torch.linalg.inv(spread))
        return fitted(blocks(evidence.probe)), fitted(blocks(evidence.gallery)), target.mean(0), whitening

    probe, gallery, mean, whitening = evidence.treated("lowpass", treat)
    shown = blocks(clear.gallery.images).float() / 255
    count = person.bincount(minlength=people)[:, None]
    means = shown.new_zeros(people, shown.shape[1]).index_add_(0, person, shown) / count
    near = functional.normalize((probe - mean) @ whitening, dim=1) @ functional.normalize(
        (means - mean) @ whitening, dim=1
    ).T.to(probe)
    if len(gallery) <= people or not len((model := plda.fit(gallery, person, people)).between):
        return near
    return added(near, model.log_likelihood(probe))


def blocks(images: Tensor) -> Tensor:
    """Average (N, 3, S, S) uint8 pictures over blocks: (N, 3 · 14 · 14) uint8."""
    small = functional.interpolate(images.float(), size=(SIDE, SIDE), mode="area")
    return small.round_().to(torch.uint8).flatten(1)
