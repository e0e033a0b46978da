"""The fixed attacker: knows nothing of the anonymization."""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.evidence import Evidence
from evaluators.metrics.identification import person_scores


def identify(evidence: Evidence) -> Tensor:
    """Search the clear gallery with the anonymized probes.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures.
    """
    clear = evidence.clear
    return person_scores(evidence.probe_embedding, clear.gallery_embedding, clear.gallery_person, clear.people)
