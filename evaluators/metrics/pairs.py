"""Verification: is it the same person? Rates of genuine and impostor comparisons (ISO/IEC 19795-1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

FARS = {"tar_at_far_1e2": 1e-2, "tar_at_far_1e3": 1e-3, "tar_at_far_1e4": 1e-4}
FPIR = 1e-2
ABSENT = 5
"""One person in so many is left out of the gallery in the open-set search."""
CARRY = 10
"""Impostor pairs that must lie above the threshold for a rate at a false accept rate to be reported."""


def split_pairs(scores: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
    """Split the scores of an attacker into those of the right person and those of all others.

    Args:
        scores: (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.

    Returns:
        genuine (N,) and impostor (N (P - 1),) float64.
    """
    own = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, person[:, None], True)
    return scores[own].double(), scores[~own].double()


def within_pairs(embedding: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
    """Compare every picture with every other, for linkability.

    Args:
        embedding: (N, D) float32, unit norm.
        person: (N,) int64, who is on each.

    Returns:
        genuine and impostor cosine, float64, each pair once.
    """
    cosine = (embedding.double() @ embedding.double().T).float().double()
    upper = torch.ones_like(cosine, dtype=torch.bool).triu(1)
    same = person[:, None] == person[None, :]
    return cosine[same & upper], cosine[~same & upper]


def auc(genuine: Tensor, impostor: Tensor) -> float:
    """Compute the area under the ROC: how often a genuine pair scores above an impostor, ties counted half.

    Args:
        genuine: (G,) float64, at least one.
        impostor: (I,) float64, at least one.
    """
    ordered = impostor.sort().values
    below = torch.searchsorted(ordered, genuine)
    not_above = torch.searchsorted(ordered, genuine, right=True)
    return float((below + not_above).double().mean() / (2 * len(impostor)))


def roc(genuine: Tensor, impostor: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the receiver operating characteristic at every threshold that tells two scores apart.

    Args:
        genuine: (G,) float64, at least one.
        impostor: (I,) float64, at least one.

    Returns:
        false accept rate and true accept rate, each (T + 1,) float64, from nothing accepted to everything, for T
        distinct scores; a pair is accepted if it scores at least the threshold.
    """
    values, place = torch.cat([genuine, impostor]).unique(return_inverse=True)
    own, other = (
        torch.bincount(part, minlength=len(values)).double().flip(0).cumsum(0) / len(part)
        for part in (place[: len(genuine)], place[len(genuine) :])
    )
    zero = own.new_zeros(1)
    return torch.cat([zero, other]), torch.cat([zero, own])


def roc_at(genuine: Tensor, impostor: Tensor, fars: Tensor) -> Tensor:
    """Read the characteristic at given false accept rates: the most that is accepted at no more than each.

    Args:
        genuine: (G,) float64.
        impostor: (I,) float64.
        fars: (F,) float64 in [0, 1].

    Returns:
        (F,) float64 true accept rates.
    """
    far, tar = roc(genuine, impostor)
    return tar[torch.searchsorted(far, fars.to(far) + 1e-12, right=True) - 1]


def tar_at_far(genuine: Tensor, impostor: Tensor, far: float, *, carry: int = CARRY) -> float | None:
    """Compute the share of genuine pairs that are accepted where at most a share `far` of the impostors is.

    A pair is accepted if it scores above the threshold; the threshold is the least impostor score that keeps the
    rate, so that ties with impostors are never accepted in its favor.

    Args:
        genuine: (G,) float64.
        impostor: (I,) float64.
        far: false accept rate in (0, 1).
        carry: impostor pairs that must lie above the threshold; fewer only to compare with published figures, such as
            those on LFW's 3,000 official ones.

    Returns:
        the rate, or None with fewer than carry / far impostor pairs, which do not carry it.
    """
    if len(impostor) * far < carry - 1e-9:
        return None
    allowed = int(len(impostor) * far + 1e-9)
    threshold = impostor.topk(allowed + 1).values[-1]
    return float((genuine > threshold).double().mean())


def eer(genuine: Tensor, impostor: Tensor) -> float:
    """Compute the equal error rate, on the segment between the two thresholds where the error rates cross.

    Args:
        genuine: (G,) float64.
        impostor: (I,) float64.
    """
    accepted, kept = roc(genuine, impostor)
    false_accept, false_reject = accepted.flip(0), 1 - kept.flip(0)  # from everything accepted to nothing
    gap = false_reject - false_accept
    i = int((gap >= 0).nonzero()[0, 0])
    if gap[i] == 0:
        return float(false_reject[i])
    share = float(gap[i] / (gap[i] - gap[i - 1]))
    return float(false_reject[i] + share * (false_reject[i - 1] - false_reject[i]))


def fold_accuracies(score: Tensor, same: Tensor, fold: Tensor) -> Tensor:
    """Compute the share of right verdicts in each fold, at the threshold that is best on all other folds.

    LFW's View 2 (Huang et al., Labeled Faces in the Wild, 2007, http://vis-www.cs.umass.edu/lfw/). A pair is accepted
    if it scores above the threshold. Thresholds lie halfway between neighboring scores, and below and above all; of
    those that are equally good the middle one is taken, the lower of two.

    Args:
        score: (N,) float, larger is likelier the same person.
        same: (N,) bool, whether it is.
        fold: (N,) int64 in [0, F), each taken, F at least 2.

    Returns:
        (F,) float64 in [0, 1].

    Raises:
        ValueError: if a fold is empty or there is only one.
    """
    sizes = torch.bincount(fold)
    if len(sizes) < 2 or not (sizes > 0).all():
        raise ValueError(f"fold_accuracies: expected at least 2 folds with pairs in each, got {sizes.tolist()} pairs")
    score = score.double()
    out = []
    for held_out in range(len(sizes)):
        here = fold == held_out
        values, place = score[~here].unique(return_inverse=True)
        own = torch.bincount(place[same[~here]], minlength=len(values))
        other = torch.bincount(place[~same[~here]], minlength=len(values))
        # Right verdicts when the i lowest distinct scores are refused: all impostors below, all genuine pairs above.
        zero = own.new_zeros(1)
        right = torch.cat([zero, other.cumsum(0)]) + own.sum() - torch.cat([zero, own.cumsum(0)])
        best = (right == right.max()).nonzero()[:, 0]
        i = int(best[(len(best) - 1) // 2])
        ends = torch.cat([values[:1] - 1, values, values[-1:] + 1])
        out.append(((score[here] > (ends[i] + ends[i + 1]) / 2) == same[here]).double().mean())
    return torch.stack(out)


def d_prime(genuine: Tensor, impostor: Tensor) -> float | None:
    """Compute the distance of the two means in units of the root of the mean of the two variances.

    Returns:
        None where nothing varies, as on a constant picture.
    """
    spread = float(((genuine.var(correction=0) + impostor.var(correction=0)) / 2).sqrt())
    return float(genuine.mean() - impostor.mean()) / spread if spread > 0 else None


def fnir_at_fpir(scores: Tensor, person: Tensor, absent: Tensor, fpir: float) -> float | None:
    """Compute how often a search misses an enrolled person where at most a share `fpir` of strangers is named.

    Args:
        scores: (N, P) float of all evaluation people, larger is likelier.
        person: (N,) int64 in [0, P), who it is.
        absent: (P,) bool, who is left out of the gallery: their pictures are the strangers.
        fpir: false positive identification rate in (0, 1).

    Returns:
        the share of enrolled people's probes that are not named, first and above the threshold; None with fewer than
        1 / fpir strangers' pictures.
    """
    if not carries_open_set(person, absent, fpir):
        return None
    enrolled = scores[:, ~absent]
    stranger = absent[person]
    best = enrolled.amax(1)
    allowed = int(int(stranger.sum()) * fpir + 1e-9)
    threshold = best[stranger].topk(allowed + 1).values[-1]
    own = scores.gather(1, person[:, None])[:, 0]
    named = (own > threshold) & (own >= best) & ~stranger
    return 1 - float(named.sum()) / int((~stranger).sum())


def carries_open_set(person: Tensor, absent: Tensor, fpir: float = FPIR) -> bool:
    """Tell whether at least 1 / fpir of (N,) pictures are of people who are absent, (P,) bool."""
    return int(absent[person].sum()) * fpir >= 1


def absent_people(people: int, seed: int) -> Tensor:
    """Draw who is left out of the gallery in the open-set search: (P,) bool, a fifth of the people."""
    drawn = torch.randperm(people, generator=torch.Generator().manual_seed(seed))[: people // ABSENT]
    return torch.zeros(people, dtype=torch.bool).scatter_(0, drawn, True)


def strongest(
    scores: Mapping[str, Tensor], person: Tensor, absent: Tensor, open_set: Mapping[str, Tensor]
) -> dict[str, float | None]:
    """Compute every verification and open-set figure, each of the attacker whom it favors most.

    Args:
        scores: attacker -> (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.
        absent: (P,) bool of `absent_people`.
        open_set: the scores of attackers who, in an open-set search, learn nothing of who is left out.

    Returns:
        a value per column, None where the pairs do not carry it.
    """
    found: dict[str, list[float | None]] = {}
    for attacker, matrix in scores.items():
        genuine, impostor = split_pairs(matrix, person)
        # The equal error rate and the misses are lower for the stronger attacker: turned around, and back below.
        one = {name: tar_at_far(genuine, impostor, far) for name, far in FARS.items()}
        one |= {"auc": auc(genuine, impostor), "d_prime": d_prime(genuine, impostor)}
        missed = fnir_at_fpir(open_set.get(attacker, matrix), person, absent, FPIR)
        one |= {"eer": -eer(genuine, impostor), "fnir_at_fpir_1e2": None if missed is None else -missed}
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    out: dict[str, float | None] = {}
    for name, values in found.items():
        known = [value for value in values if value is not None]
        out[name] = max(known) if known else None
    for name in ("eer", "fnir_at_fpir_1e2"):
        value = out[name]
        out[name] = None if value is None else -value
    return out
