"""Galleries: what an attacker makes of probes and of a gallery that he treated alike, three opinions added."""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.embeddings import retrained
from evaluators.attackers.evidence import Clear
from evaluators.metrics.identification import person_scores

LEAST = 1e-4
"""Deviation of scores below which they are rounding, and say nothing."""


def search_both(
    probe: Tensor, gallery: Tensor, clear: Clear, *, seed: int, second: tuple[Tensor, ...] | None = None
) -> Tensor:
    """Search the clear gallery and the treated one, and classify by the latter.

    Args:
        probe: (N, D) float32, unit norm, of released pictures after whatever the attacker did to them.
        gallery: (M, D) float32, unit norm, of the gallery that he anonymized himself, after the same.
        clear: the clear gallery, and who is on it.
        seed: of the classifier.
        second: probes and treated gallery as a second embedder sees them; None without one.

    Returns:
        (N, P) scores, higher for a likelier person: best cosine with the clear gallery, best with the treated one, and
        the classifiers of `retrained` on the treated one, one for each embedder, each in units of its deviation.
    """
    person, people = clear.gallery_person, clear.people
    sights = [(probe, gallery), *([second] if second is not None else [])]
    return added(
        person_scores(probe, clear.gallery_embedding, person, people),
        person_scores(probe, gallery, person, people),
        *(retrained.classify(retrained.enroll(own, person, people, seed=seed), seen) for seen, own in sights),
    )


def added(*opinions: Tensor) -> Tensor:
    """Add (N, P) scores, each in units of its deviation; one that hardly varies says nothing."""
    total = opinions[0].new_zeros(opinions[0].shape)
    for opinion in opinions:
        deviation = float(opinion.std())
        if deviation > LEAST:
            total = total + (opinion - opinion.mean()) / deviation
    return total
