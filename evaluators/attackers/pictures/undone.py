"""The undoing attacker: what a method mixes linearly he undoes without a network, gallery and probes alike.

Where the method says how it mixes pixels (`Anonymizer.linear`), by its regularized inverse; else by a ridge regression
from released to clear pictures, fitted on other people, unless their faces are known better as they were released.
Three opinions on the undone pictures are added, each in units of its deviation: the best cosine with the clear gallery,
that with the undone gallery, and the classifier of `retrained` on the undone gallery.
"""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.embeddings import retrained
from evaluators.attackers.evidence import Evidence
from evaluators.metrics.identification import person_scores

LEAST = 1e-4
"""Deviation of scores below which they are rounding, and say nothing."""


def identify(evidence: Evidence) -> Tensor:
    """Undo the gallery that the attacker anonymized himself and the probes, then search and classify.

    Returns:
        (N, P) scores, higher for a likelier person.
    """
    clear = evidence.clear
    person, people = clear.gallery_person, clear.people
    probe, gallery = evidence.undone_probe_embedding, evidence.undone_gallery_embedding
    classifier = retrained.enroll(gallery, person, people, seed=evidence.seed)
    opinions = (
        person_scores(probe, clear.gallery_embedding, person, people),
        person_scores(probe, gallery, person, people),
        retrained.classify(classifier, probe),
    )
    total = opinions[0].new_zeros(opinions[0].shape)
    for opinion in opinions:
        deviation = float(opinion.std())
        if deviation > LEAST:
            total = total + (opinion - opinion.mean()) / deviation
    return total
