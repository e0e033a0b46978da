"""The attacker of a family: learned the method once, over all its hyperparameters, before the first trial.

Of a configuration he needs nothing but its embeddings: he restores probes and gallery by the method's family, lets its
embedder look at them, and searches clear and restored gallery together, see `search_both`.
"""

from __future__ import annotations

from torch import Tensor

from evaluators.attackers.embeddings.galleries import search_both
from evaluators.attackers.evidence import Evidence


def identify(evidence: Evidence) -> Tensor | None:
    """Embed probes and the gallery that he anonymized himself as the family taught him, then search and classify.

    Returns:
        (N, P) scores, higher for a likelier person; None where the method has no family.
    """
    family = evidence.family
    if family is None:
        return None
    learned = family

    def treat() -> tuple[Tensor, ...]:
        return tuple(
            learned.embed(evidence.anonymizer, pictures, evidence.guess(pictures))
            for pictures in (evidence.probe, evidence.gallery)
        )

    probe, gallery = evidence.treated("of_family", treat)
    return search_both(probe, gallery, evidence.clear, seed=evidence.seed)
