"""Samplers learn in spaces of several methods: each beats random, and what could not is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from anonymizers import Anonymizer
from anonymizers.ranges import Choice
from orchestrator.records.front import hypervolume
from orchestrator.search.checks import check_learns
from orchestrator.sweep.proposals import Proposals
from search_spaces import SPACES, SearchSpace
from tests.helpers.fake_panel import OBJECTIVES

FOUR = SearchSpace("four", methods=("blur", "pixelate", "k_same", "band_blur"))


def measured(anonymizer: Anonymizer) -> tuple[float, float]:
    """Measure privacy and utility: of four methods one is worth anything, and of its fields all but one have a best."""
    if anonymizer.method != "band_blur":
        return 0.9, 0.3
    shares = []
    for name, over in anonymizer.ranges().items():
        assert not isinstance(over, Choice)
        shares.append((getattr(anonymizer, name) - over.low) / (over.high - over.low))
    missed = float(np.mean((np.array(shares[1:]) - 0.3) ** 2))
    return 1 - shares[0] * (1 - missed), max(0.0, 1 - 0.6 * shares[0] - 3 * missed)


def volume(sampler: str, seed: int, trials: int) -> float:
    """Return the hypervolume of what a sampler finds."""
    proposals = Proposals(FOUR, OBJECTIVES, sampler=sampler, trials=trials, seed=seed, begun_with=trials)
    found = []
    while (asked := proposals.ask()) is not None and len(found) < proposals.total:
        found.append(measured(asked.anonymizer))
        proposals.tell(asked, dict(zip(OBJECTIVES, found[-1], strict=True)))
    assert len(found) == proposals.total
    return hypervolume(np.array(found), ["min", "max"], [1, 0], [0, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "trials", "seeds"), [("tpe", 60, 4), ("nsga2", 120, 4), ("nsga3", 120, 4), ("gp", 30, 3)]
)
def test_a_sampler_beats_random_where_there_are_several_methods(sampler: str, trials: int, seeds: int) -> None:
    own, random = (np.mean([volume(who, seed, trials) for seed in range(seeds)]) for who in (sampler, "random"))
    assert own > random + 0.02


def test_every_trial_of_the_flat_samplers_has_every_field() -> None:
    """Optuna's genetic samplers and gp learn from what all trials have; with one method's fields that is nothing."""
    for sampler in ("nsga2", "nsga3", "gp"):
        proposals = Proposals(FOUR, OBJECTIVES, sampler=sampler, trials=6, seed=0, begun_with=60)
        for _ in range(8):
            assert proposals.ask() is not None
        names = [set(trial.params) for trial in proposals.study.get_trials(deepcopy=False)]
        assert all(one == names[0] for one in names)
        assert {"method", "blur.kernel", "pixelate.block", "k_same.k", "band_blur.fine"} <= names[0]


@pytest.mark.parametrize(
    ("sampler", "space", "trials", "sentence"),
    [
        ("tpe", "k_same_grid", 40, "--sampler tpe: expected a space of ranges, k_same_grid is a fixed list"),
        ("nsga2", "classical", 8, "--sampler nsga2: its first 8 trials are random, and --trials 8 are no more"),
        ("gp", "classical", 10, "--sampler gp: its first 10 trials are random"),
    ],
)
def test_what_cannot_learn_is_refused(sampler: str, space: str, trials: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_learns(sampler, SPACES[space], trials)
    check_learns("grid", SPACES["k_same_grid"], 40)
    check_learns("nsga2", SPACES["classical"], 40)
