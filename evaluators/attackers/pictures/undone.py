"""The undoing attacker: what a method mixes linearly he undoes without a network, gallery and probes alike.

Where the method says how it mixes pixels (`Anonymizer.linear`), by its regularized inverse; else by a ridge regression
from released to clear pictures, fitted on other people, unless their faces are known better as they were released.
Clear and undone gallery are searched together, see `search_both`.
"""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.embeddings.galleries import search_both
from evaluators.attackers.evidence import Evidence


def identify(evidence: Evidence) -> Tensor:
    """Undo the gallery that the attacker anonymized himself and the probes, then search and classify.

    Returns:
        (N, P) scores, higher for a likelier person.
    """
    probe, gallery = evidence.undone_probe_embedding, evidence.undone_gallery_embedding
    return search_both(probe, gallery, evidence.clear, seed=evidence.seed, second=evidence.second_sight(undone=True))
