"""Rows of a sweep that keep what each person adds, made without a network."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluators.measuring.by_person import KAPPA, Population
from evaluators.measuring.tally import Tally
from evaluators.metrics.kept import Measured, share_kept, smallest_share
from evaluators.metrics.scores import People, Scores
from evaluators.metrics.statistics import person_draws, sums_by
from tests.helpers.sample_rows import SWEEP, scores

PEOPLE, PICTURES, CLASSES = 40, 5, 7
OBJECTIVES = {"rank1_worst": "min", "expression_kept": "max"}
ATTACKERS = ("fixed", "parrot", "undone")
READERS = ("adapted", "shown")
JUDGE, DESCRIBER = "facex", "blendshapes"
PERSON = torch.arange(PEOPLE).repeat_interleave(PICTURES)
REPLICATES, SEED = 2_000, 3


def _truth() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.integers(0, CLASSES, len(PERSON))), torch.from_numpy(rng.chisquare(5, len(PERSON)))


def _read(seed: int, right: float, tally: Tally) -> dict[str, dict[str, Measured]]:
    """Let readers follow both judges on a share of the probes."""
    rng, (answers, squares) = np.random.default_rng(seed), _truth()
    found: dict[str, dict[str, Measured]] = {JUDGE: {}, DESCRIBER: {}}
    for reader in READERS:
        known = torch.from_numpy(rng.random(len(PERSON)) < right)
        said = torch.where(known, answers, torch.from_numpy(rng.integers(0, CLASSES, len(PERSON))))
        error = squares * torch.from_numpy(rng.uniform(0, 2 * (1 - right), len(PERSON)))
        agreed = tally.agreed(answers, said, CLASSES, f"{KAPPA}_{JUDGE}_{reader}")
        explained = tally.explained(error, squares, f"expression_r2_{DESCRIBER}_{reader}")
        for judge, kind, one in ((JUDGE, "kappa", agreed), (DESCRIBER, "r2", explained)):
            tally.put(f"expression_{kind}_{judge}_{reader}", one.value, one.interval, one.draws)
            found[judge][reader] = one
    return found


@functools.cache
def _clear() -> tuple[dict[str, dict[str, Measured]], People]:
    tally = Tally(PERSON, person_draws(PEOPLE, REPLICATES, SEED), ())
    return _read(1, 0.95, tally), tally.people


def population() -> Population:
    """Return who was measured."""
    answers, squares = _truth()
    judged = {f"{KAPPA}_{JUDGE}_{reader}": JUDGE for reader in READERS}
    truth = {JUDGE: answers, DESCRIBER: sums_by(squares, PERSON, PEOPLE) / (squares.sum() / PEOPLE)}
    return Population(PEOPLE, PERSON, SEED, REPLICATES, truth, judged, _clear()[1], (JUDGE, DESCRIBER))


def facts() -> dict[str, Any]:
    """Return the facts of the sweep."""
    panel = {"people": json.loads(json.dumps(population().plain())), "device": "cpu"}
    return {**SWEEP, "objectives": OBJECTIVES, "panel": panel, "attackers": list(ATTACKERS)}


def measured(privacy: float, utility: float, seed: int, released: Tensor | None = None) -> Scores:
    """Measure a configuration: attackers who name about so many probes, readers who follow judges on so many.

    Args:
        privacy: rate of the strongest attacker.
        utility: share of the probes that readers read.
        seed: of what they say.
        released: (N,) int64, equal where probes got the same released picture; None where none did.
    """
    rng = np.random.default_rng(seed)
    tally = Tally(PERSON, person_draws(PEOPLE, REPLICATES, SEED), tuple(OBJECTIVES), released)
    named = {
        f"rank1_{name}": torch.from_numpy((rng.random(len(PERSON)) < privacy * (n + 2) / 4).astype(np.float64))
        for n, name in enumerate(ATTACKERS)
    }
    for name, credit in named.items():
        tally.rate(name, credit)
    tally.largest("rank1_worst", named, keep=True)
    together = {f"{name}_fused": credit[::PICTURES] for name, credit in named.items()}
    tally.largest("rank1_worst_fused", together, torch.arange(PEOPLE), keep=True)
    found, clear = _read(seed, utility, tally), _clear()[0]
    shares = {}
    for judge, reached in found.items():
        pairs = [(reached[reader], clear[judge][reader]) for reader in READERS]
        share = shares[judge] = share_kept(pairs, tally.interval, tally.wilson)
        tally.put(f"expression_kept_{judge}", share.value, share.interval, share.draws)
    least = smallest_share(list(shares.values()), tally.interval)
    tally.put("expression_kept", least.value, least.interval, least.draws)
    usual = scores(privacy, utility, seed=seed)
    return replace(
        usual,
        values={name: tally.values.get(name) for name in usual.values},
        intervals=dict(tally.intervals),
        replicates=dict(tally.replicates),
        people=tally.people,
        n_people=PEOPLE,
        n_probe=len(PERSON),
        chance_rank1=1 / PEOPLE,
    )
