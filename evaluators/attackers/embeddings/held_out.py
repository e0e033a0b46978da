"""The held-out attacker: another embedder family, which the search never used, on clear and anonymized gallery at once.

What a search hides from one embedder may lie open to another. His score of a person is the best over the person's
gallery pictures as they are (as `fixed`) and as he anonymizes them himself (as `parrot`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.attackers.evidence import Evidence
from evaluators.metrics.identification import person_scores


def identify(evidence: Evidence) -> Tensor:
    """Search both galleries by the held-out embedder.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures, clear and anonymized.

    Raises:
        ValueError: if there is no held-out embedder.
    """
    clear = evidence.clear
    probe, anonymized, gallery = evidence.held_out_embeddings
    person = clear.gallery_person.repeat(2)
    return person_scores(probe, torch.cat([gallery, anonymized]), person, clear.people)
