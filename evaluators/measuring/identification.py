"""Let every attacker name the probes; the strongest is what counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluators.attackers import ATTACKERS
from evaluators.attackers.evidence import Evidence
from evaluators.measuring.tally import Tally
from evaluators.metrics import pairs
from evaluators.metrics.curves import Curves, curves_of
from evaluators.metrics.identification import fused, permuted_rank1, rank_credit


def measure(
    evidence: Evidence,
    attackers: Sequence[str],
    tally: Tally,
    *,
    absent: Tensor,
    curves: dict[str, dict[str, Curves]] | None = None,
) -> None:
    """Put the columns of every attacker into a tally.

    Args:
        evidence: of one configuration.
        attackers: names in ATTACKERS; `rank1_worst` is the largest rate among them.
        tally: that takes the values.
        absent: (P,) bool, the people who are left out of the gallery in open-set search.
        curves: takes every attacker's CMC and ROC, by the repr of the configuration.
    """
    clear = evidence.clear
    person = clear.probe_person
    scores = {name: found for name in attackers if (found := ATTACKERS[name](evidence)) is not None}
    if curves is not None:
        curves[repr(evidence.anonymizer)] = {name: curves_of(m, person) for name, m in scores.items()}
    credits: dict[str, Tensor] = {}
    for name, matrix in scores.items():
        credits[name] = rank_credit(matrix, person, 1).cpu()
        tally.rate(f"rank1_{name}", credits[name])
        for k in (5, 10):
            tally.rate(f"rank{k}_{name}", rank_credit(matrix, person, k).cpu())
    tally.values.update(pairs.strongest(scores, person, absent))
    tally.values["linkability_auc"] = pairs.auc(*pairs.within_pairs(evidence.probe_embedding, person))
    replicates = tally.largest("rank1_worst", {f"rank1_{name}": credit for name, credit in credits.items()})
    who = torch.arange(clear.people, device=person.device)[person.bincount(minlength=clear.people) > 0]
    together = {name: rank_credit(fused(matrix, person)[who], who, 1).cpu() for name, matrix in scores.items()}
    tally.largest("rank1_worst_fused", together, who.cpu())
    worst = tally.values["rank1_worst"]
    assert worst is not None
    chance = permuted_rank1(list(scores.values()), person, evidence.seed)
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
