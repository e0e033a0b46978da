"""Identification: from embeddings to rates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PERMUTATIONS = 200


def person_scores(probe: Tensor, gallery: Tensor, gallery_person: Tensor, people: int) -> Tensor:
    """Score every enrolled person for every probe.

    Args:
        probe: (N, D) float, unit norm.
        gallery: (M, D) float, unit norm.
        gallery_person: (M,) int64 in [0, people), who is on each gallery picture.
        people: P, number of enrolled people.

    Returns:
        (N, P) float32, cosine in [-1, 1], the best over a person's pictures.

    Raises:
        ValueError: if an enrolled person has no gallery picture.
    """
    # Summed in float64 and rounded: equal pictures get equal scores wherever a matrix kernel puts them, so that
    # rank_credit sees their tie.
    cosine = (probe.double() @ gallery.double().T).float().clamp(-1, 1)
    best = cosine.new_full((len(probe), people), -torch.inf)
    best = best.scatter_reduce(1, gallery_person.expand(len(probe), -1), cosine, "amax")
    missing = int(best.isneginf().any(0).sum())
    if missing:
        raise ValueError(
            f"person_scores: expected a gallery picture of each of the {people} enrolled people, got none of {missing}"
            "; leave them out of the enrolled people"
        )
    return best


def fused(scores: Tensor, person: Tensor) -> Tensor:
    """Sum an attacker's scores over all probes of a person, each probe's standardized: he has a folder, or a video.

    Args:
        scores: (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.

    Returns:
        (P, P) float64, row p for the probes of person p; zeros where he has none, or all are scored alike.
    """
    wide = scores.double()
    deviation = wide.std(1, correction=0, keepdim=True)
    standard = torch.where(deviation > 1e-6, (wide - wide.mean(1, keepdim=True)) / deviation.clamp_min(1e-6), 0.0)
    return wide.new_zeros(scores.shape[1], scores.shape[1]).index_add_(0, person, standard)


def permuted_rank1(scores: Sequence[Tensor], person: Tensor, seed: int = 0) -> float:
    """Compute the rank-1 that the strongest of several attackers gets on average where the probes' labels are shuffled.

    All attackers see the same shuffled labels, and the largest of their rates counts, as in `rank1_worst`: the best of
    several guesses is more than 1 / P. Attackers are not trained anew, since no probe's label enters their training;
    what they have learnt of the gallery stays, and only its tie to the probes is cut.

    Args:
        scores: one (N, P) float for each attacker, larger is likelier.
        person: (N,) int64 in [0, P), who it is.
        seed: of the permutations.

    Returns:
        in [0, 1]; exactly 1 / P where all attackers give everybody the same.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.stack([torch.randperm(len(person), generator=generator) for _ in range(PERMUTATIONS)], 1)
    label = person[shuffled.to(person.device)]
    rates = []
    for matrix in scores:
        named = (matrix == matrix.amax(1, keepdim=True)).double()
        rates.append((named / named.sum(1, keepdim=True)).gather(1, label).mean(0))
    return float(torch.stack(rates).amax(0).mean())


def cmc(scores: Tensor, person: Tensor) -> Tensor:
    """Compute the cumulative match characteristic: the rank-k rate for every k (ISO/IEC 19795-1).

    Args:
        scores: (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.

    Returns:
        (P,) float64 in [0, 1], nondecreasing; the last is 1. Ties share the credit, as in `rank_credit`.
    """
    return torch.stack([rank_credit(scores, person, k).mean() for k in range(1, scores.shape[1] + 1)])


def rank_credit(scores: Tensor, person: Tensor, k: int) -> Tensor:
    """Tell whether each probe's person is among the k best; exact ties share the credit.

    With t people tied across the k-th place for s places, each counts s / t, so that a constant picture gets exactly
    chance, k / P.

    Args:
        scores: (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.
        k: number of places, at least 1.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        ValueError: if k is below 1 or a score is NaN.
    """
    if k < 1:
        raise ValueError(f"rank_credit: expected at least one place, got k = {k}; ask for rank 1 or more")
    if scores.isnan().any():
        count = int(scores.isnan().any(1).sum())
        raise ValueError(
            f"rank_credit: expected finite scores, got NaN for {count} probes; look at the attacker's network"
        )
    true = scores.gather(1, person[:, None])
    above = (scores > true).sum(1).double()
    tied = (scores == true).sum(1).double()
    return ((k - above) / tied).clamp(0, 1)
