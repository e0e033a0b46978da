"""Redetected: the figures of those who must find the face anew on the anonymized picture, `<metric>_redetected`.

Attackers and teacher otherwise get the crop that was aligned on the original landmarks, so that a failed detection is
never privacy. Here the face is found and aligned anew; one that is not found counts as not identified and as a wrong
expression, and stays in every denominator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evaluators.attackers.evidence import Evidence
from evaluators.datasets.alignment import align
from evaluators.measuring.tally import Tally
from evaluators.metrics.identification import person_scores, rank_credit
from evaluators.networks.roles import Found

NEVER = -2.0
"""Score of a person without a gallery picture: below every cosine."""


def measure(evidence: Evidence, attackers: Sequence[str], tally: Tally) -> None:
    """Put the columns into a tally; nothing where no detector is configured.

    Args:
        evidence: of one configuration.
        attackers: names; of those, `fixed` and `parrot` are measured.
        tally: that takes the values.
    """
    found = evidence.probe_found
    if found is None:
        return
    clear, nets = evidence.clear, evidence.nets
    seen = found.found
    crops = realigned(evidence.probe, found)
    embedding = nets.embedder(crops) if len(crops) else clear.probe_embedding[:0]
    credits: dict[str, Tensor] = {}
    for name in ("fixed", "parrot"):
        if name in attackers:
            gallery, person = clear.gallery_embedding, clear.gallery_person
            if name == "parrot":
                gallery, person = _parrot_gallery(evidence)
            credit = torch.zeros(len(seen), dtype=torch.float64)
            scores = _scores(embedding, gallery, person, clear.people)
            credit[seen.cpu()] = rank_credit(scores, clear.probe_person[seen], 1).cpu()
            credits[f"rank1_{name}_redetected"] = credit
            tally.rate(f"rank1_{name}_redetected", credit)
    if credits:
        tally.largest("rank1_worst_redetected", credits)
    classes = len(nets.teacher.classes)
    truth = clear.probe_reading.logits.argmax(1)
    answer = torch.full_like(truth, classes)  # a class of its own, which is never right: no face was found
    if len(crops):
        answer[seen] = nets.teacher(crops).logits.argmax(1)
    tally.rate("expression_agreement_redetected", (truth == answer).double().cpu())
    tally.kappa("expression_kappa_redetected", truth, answer, classes + 1)


def realigned(images: Tensor, found: Found) -> Tensor:
    """Align the faces that were found anew.

    Args:
        images: (N, 3, S, S) uint8 RGB in [0, 255].
        found: what a detector finds in them.

    Returns:
        (F, 3, S, S) uint8 of the F found ones, in their order, black where a picture ends. With landmarks on the
        template they are the same pictures.
    """
    rows = found.found.nonzero()[:, 0]
    if not len(rows):
        return images[:0]
    pictures = images[rows].permute(0, 2, 3, 1).contiguous().cpu().numpy()
    landmarks = found.landmarks[rows].cpu().numpy()
    crops = np.stack([align(p, at, images.shape[-1]) for p, at in zip(pictures, landmarks, strict=True)])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().to(images.device)


def _parrot_gallery(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Return embeddings and people of the attacker's own anonymized gallery, as far as its faces are found."""
    assert evidence.nets.detector is not None
    found = evidence.nets.detector(evidence.gallery)
    crops = realigned(evidence.gallery, found)
    embedding = evidence.nets.embedder(crops) if len(crops) else evidence.clear.gallery_embedding[:0]
    return embedding, evidence.clear.gallery_person[found.found]


def _scores(probe: Tensor, gallery: Tensor, person: Tensor, people: int) -> Tensor:
    """Return (N, P) cosine, the best over each person's pictures; `NEVER` for people who have none."""
    scores = torch.full((len(probe), people), NEVER, device=probe.device)
    enrolled, place = person.unique(return_inverse=True)
    if len(enrolled) and len(probe):
        scores[:, enrolled] = person_scores(probe, gallery, place, len(enrolled))
    return scores
