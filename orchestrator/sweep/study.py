"""The study: Optuna's seeded sampler, which proposes points of the search space."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "qmc", "random", "grid")

GENETIC = ("nsga2", "nsga3")
"""Samplers that breed generations."""

FLAT = (*GENETIC, "gp")
"""Samplers that learn only from parameters which every trial has. They get the fields of all methods in each trial,
also those that the chosen method leaves unused: of several methods they would learn nothing otherwise."""

STALE_GROWTH = 0.001
"""Of the hypervolume, a share in [0, 1] where all objectives have bounds; less is no growth."""

FIRST = {"tpe": 5, "gp": 10}
"""Trials that a sampler draws at random before it learns: Optuna's 10, but of TPE half of a short search would be."""


def population(trials: int) -> int:
    """Return the size of a genetic sampler's population, for ten generations: Optuna's 50 leaves short ones random."""
    return max(8, min(50, trials // 10))


def seed_of(seed: int, trial: int) -> int:
    """Return the seed of one trial's draws, in [0, 2^32).

    With a seed for each trial a proposal follows from the seed, its number and the trials before it, and from nothing
    that a sampler remembers: a sweep that is resumed tells a sampler what was proposed, and need not ask it again.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}, {trial}".encode()).digest()[:4], "big")


def make_sampler(
    sampler: str, *, seed: int, trials: int, is_new: Callable[[Mapping[str, Any]], bool] | None = None
) -> optuna.samplers.BaseSampler:
    """Make a seeded sampler.

    Args:
        sampler: one of SAMPLERS; "grid" and "qmc" draw at random where they are asked: their points are given to the
            study.
        seed: of what it draws.
        trials: planned number, which sets the size of a population.
        is_new: tells of a method and its fields whether they were not tried yet, for a sampler that has a choice.

    Raises:
        ValueError: if the sampler is unknown.
    """
    import optuna  # a second, which --help does without

    from orchestrator.sweep.sampling.relative import NSGA2, NSGA3, TPE

    if sampler not in SAMPLERS:
        raise ValueError(f"--sampler: expected one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if sampler == "tpe":
        return TPE(seed=seed, first=FIRST[sampler], is_new=is_new)
    if sampler == "nsga2":
        return NSGA2(seed=seed, population_size=population(trials))
    if sampler == "nsga3":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return NSGA3(seed=seed, population_size=population(trials))
    if sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=FIRST[sampler])
    return optuna.samplers.RandomSampler(seed=seed)


def make_study(directions: Sequence[str], storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Create a study whose sampler is yet to be set.

    Args:
        directions: "min" or "max" per objective.
        storage: empty.
    """
    import optuna

    named = [{"min": "minimize", "max": "maximize"}[way] for way in directions]
    return optuna.create_study(storage=storage, directions=named, sampler=optuna.samplers.RandomSampler())
