"""The parrot: anonymizes his own gallery before he searches it.

Source: Newton, Sweeney and Malin, Preserving privacy by de-identifying face images, IEEE TKDE 2005
(https://doi.org/10.1109/TKDE.2005.32), who named parrot recognition.
"""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.evidence import Evidence
from evaluators.metrics.identification import person_scores


def identify(evidence: Evidence) -> Tensor:
    """Search the gallery that the attacker anonymized with the same hyperparameters and a seed of his own.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures.
    """
    clear = evidence.clear
    return person_scores(evidence.probe_embedding, evidence.gallery_embedding, clear.gallery_person, clear.people)
