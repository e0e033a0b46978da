"""Let every attacker name the probes; the strongest is what counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from evaluators.attackers import ATTACKERS, CLASSIFYING
from evaluators.attackers.evidence import Evidence
from evaluators.measuring.tally import Tally
from evaluators.metrics import pairs
from evaluators.metrics.curves import Curves, curves_of
from evaluators.metrics.identification import fused, permuted_rank1, rank_credit


def meet(evidence: Evidence, attackers: Sequence[str], met: dict[str, Tensor], tally: Tally) -> None:
    """Let some of the attackers name the probes, and put their rates, and the largest so far, into a tally.

    Args:
        evidence: of one configuration.
        attackers: names in ATTACKERS.
        met: attacker -> (N, P) scores, of those who named the probes before; takes theirs, but of who cannot.
        tally: that takes the values. `rank1_worst` and its fused kind only grow with every attacker that is met.
    """
    for name in attackers:
        found = ATTACKERS[name](evidence)
        if found is None:
            continue
        met[name] = found
        for k in (1, 5, 10):
            tally.rate(f"rank{k}_{name}", rank_credit(found, evidence.clear.probe_person, k).cpu())
    if met:
        _put_largest(evidence, met, tally)


def measure(
    evidence: Evidence,
    met: Mapping[str, Tensor],
    tally: Tally,
    *,
    absent: Tensor,
    curves: dict[str, dict[str, Curves]] | None = None,
    parts: Mapping[tuple[str, str], Tensor] | None = None,
) -> None:
    """Put what all attackers together make of a configuration into a tally; `meet` has put each one's rates there.

    Args:
        evidence: of one configuration.
        met: attacker -> (N, P) scores, of all of them; `rank1_worst` is the largest rate among them.
        tally: that takes the values.
        absent: (P,) bool, the people who are left out of the gallery in open-set search.
        curves: takes every attacker's CMC and ROC, by the repr of the configuration.
        parts: group of people, by attribute and name -> (n,) int64, their probes.
    """
    clear = evidence.clear
    person = clear.probe_person
    if curves is not None:
        curves[repr(evidence.anonymizer)] = {name: curves_of(m, person) for name, m in met.items()}
    tally.values.update(pairs.strongest(met, person, absent, _open_set(evidence, met, absent)))
    genuine, impostor = pairs.within_pairs(evidence.probe_embedding, person)
    if len(genuine):  # with one probe of each person there is nothing to link
        tally.values["linkability_auc"] = pairs.auc(genuine, impostor)
    replicates = _put_largest(evidence, met, tally)
    worst = tally.values["rank1_worst"]
    assert worst is not None
    chance = permuted_rank1(list(met.values()), person, evidence.seed)
    tally.values["chance_rank1_measured"] = chance
    low, high = tally.intervals["rank1_worst"]
    tally.put(
        "advantage",
        (worst - chance) / (1 - chance),
        ((low - chance) / (1 - chance), (high - chance) / (1 - chance)),
        (replicates - chance) / (1 - chance),
    )
    cosine = (clear.probe_embedding * evidence.probe_embedding).sum(1)
    tally.mean("hifd_privacy", 0.5 * (1 - cosine))
    for whose, rows in (parts or {}).items():
        tally.put_group(whose, **_of_part(met, person, rows, tally.part(rows)))


def _of_part(met: Mapping[str, Tensor], person: Tensor, rows: Tensor, part: Tally) -> dict[str, Any]:
    """Return the largest rank-1 of some people's probes among all who are enrolled, its interval, and whose it is."""
    there = rows.to(person.device)
    credits = {name: rank_credit(matrix[there], person[there], 1).cpu() for name, matrix in met.items()}
    part.largest("rank1_worst", credits)
    strongest = max(credits, key=lambda name: float(credits[name].mean()))
    return {"rank1_worst": [part.values["rank1_worst"], *part.intervals["rank1_worst"]], "attacker": strongest}


def _put_largest(evidence: Evidence, met: Mapping[str, Tensor], tally: Tally) -> Tensor:
    """Put the largest rates of those who were met, by picture and by person; returns the former's (R,) replicates."""
    clear = evidence.clear
    person = clear.probe_person
    credits = {f"rank1_{name}": rank_credit(matrix, person, 1).cpu() for name, matrix in met.items()}
    replicates = tally.largest("rank1_worst", credits, keep=True)
    who = torch.arange(clear.people, device=person.device)[person.bincount(minlength=clear.people) > 0]
    together = {
        f"rank1_{name}_fused": rank_credit(fused(matrix, person)[who], who, 1).cpu() for name, matrix in met.items()
    }
    tally.largest("rank1_worst_fused", together, who.cpu(), keep=True)
    return replicates


def _open_set(evidence: Evidence, scores: Mapping[str, Tensor], absent: Tensor) -> dict[str, Tensor]:
    """Let the attackers who classify learn anew, without the people who are left out; their scores, (N, P).

    Nothing where the strangers' pictures do not carry an open-set search: it would be of no use.
    """
    if not pairs.carries_open_set(evidence.clear.probe_person, absent):
        return {}
    enrolled = evidence.without(absent)
    found = {}
    for name in (name for name in scores if name in CLASSIFYING):
        few = ATTACKERS[name](enrolled)
        assert few is not None  # he had something to attack with before
        found[name] = few.new_full(scores[name].shape, -torch.inf).masked_scatter(~absent.expand_as(scores[name]), few)
    return found
