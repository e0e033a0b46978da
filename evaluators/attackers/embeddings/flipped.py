"""The flipped attacker: reads backwards a method that draws somebody as unlike the person as it can.

A face drawn as far from its person as possible tells whose it is not, and of many people the least likely one is named.
"""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.embeddings.parrot import templates
from evaluators.attackers.evidence import Evidence


def identify(evidence: Evidence) -> Tensor:
    """Search the clear gallery for whom the anonymized probes resemble least.

    Returns:
        (N, P) cosine with the mean of a person's clear gallery pictures, its sign turned.
    """
    clear = evidence.clear
    return -(evidence.probe_embedding @ templates(clear.gallery_embedding, clear.gallery_person, clear.people).T)
