"""The parrot: anonymizes his own gallery before he searches it.

Source: Newton, Sweeney and Malin, Preserving privacy by de-identifying face images, IEEE TKDE 2005
(https://doi.org/10.1109/TKDE.2005.32), who named parrot recognition.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.evidence import Evidence
from evaluators.metrics.identification import person_scores


def identify(evidence: Evidence) -> Tensor:
    """Search the gallery that the attacker anonymized with the same hyperparameters and a seed of his own.

    Returns:
        (N, P) cosine: the best over each enrolled person's pictures, or with their mean where attacker people are
        found better by theirs.
    """
    clear, gallery = evidence.clear, evidence.gallery_embedding
    if mean_is_better(evidence.attacker_embedding, clear.attacker.identity):
        return evidence.probe_embedding @ templates(gallery, clear.gallery_person, clear.people).T
    return person_scores(evidence.probe_embedding, gallery, clear.gallery_person, clear.people)


def templates(embedding: Tensor, person: Tensor, people: int) -> Tensor:
    """Average (M, D) embeddings by person in [0, people): (people, D) float32 of unit norm, 0 where he has none."""
    # Summed in float64: equal pictures must tie, in whatever order they are added.
    sums = torch.zeros(people, embedding.shape[1], dtype=torch.float64, device=embedding.device)
    return functional.normalize(sums.index_add_(0, person, embedding.double()), dim=1).float()


def mean_is_better(embedding: Tensor, identity: Tensor) -> bool:
    """Tell whether people are found better by the mean of their other pictures than by the best of them.

    Args:
        embedding: (A, D) float32, unit norm, of anonymized faces.
        identity: (A,) int64, whose they are; who has one picture is a stranger among the others.
    """
    _, person, count = identity.to(embedding.device).unique(return_inverse=True, return_counts=True)
    rows = torch.nonzero(count[person] > 1)[:, 0]
    if not len(rows):
        return False
    people = len(count)
    some, own = embedding[rows], person[rows]
    cosine = some @ embedding.T
    cosine[torch.arange(len(rows)), rows] = -torch.inf
    best = cosine.new_full((len(rows), people), -torch.inf)
    best = best.scatter_reduce(1, person.expand(len(rows), -1), cosine, "amax")
    mean = some @ templates(embedding, person, people).T
    sums = torch.zeros(people, embedding.shape[1]).to(embedding).index_add_(0, person, embedding)
    others = functional.normalize(sums[own] - some, dim=1)
    mean[torch.arange(len(rows)), own] = (some * others).sum(1)

    def hits(scores: Tensor) -> int:
        return int((scores.argmax(1) == own).sum())

    return hits(mean) > hits(best)
