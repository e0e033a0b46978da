"""The study: Optuna's seeded sampler, which proposes points of the search space."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "nsga2", "gp", "random", "grid")

FLAT = ("nsga2", "gp")
"""Samplers that learn only from parameters which every trial has. They get the fields of all methods in each trial,
also those that the chosen method leaves unused: of several methods they would learn nothing otherwise."""

FIRST = 10
"""Trials that tpe and gp draw at random before they learn."""


def population(trials: int) -> int:
    """Return the size of NSGA-II's population: Optuna's 50 would leave a sweep of 50 trials purely random."""
    return max(8, min(50, trials // 5))


def make_study(sampler: str, directions: Sequence[str], *, seed: int, trials: int) -> optuna.Study:
    """Create an in-memory study with a seeded sampler.

    Args:
        sampler: one of SAMPLERS; "grid" proposes nothing by itself, its points are enqueued.
        directions: "min" or "max" per objective.
        seed: of the sampler.
        trials: planned number, which sets the size of a population.

    Raises:
        ValueError: if the sampler is unknown.
    """
    import optuna  # a second, which --help does without

    if sampler not in SAMPLERS:
        raise ValueError(f"--sampler: expected one of {', '.join(SAMPLERS)}, got {sampler!r}")
    made: optuna.samplers.BaseSampler
    if sampler == "tpe":
        with warnings.catch_warnings():
            # Grouping is how TPE learns in conditional spaces; that its interface may change is no concern of the user.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=FIRST
            )
    elif sampler == "nsga2":
        made = optuna.samplers.NSGAIISampler(seed=seed, population_size=population(trials))
    elif sampler == "gp":
        made = optuna.samplers.GPSampler(seed=seed, n_startup_trials=FIRST)
    else:
        made = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(directions=[{"min": "minimize", "max": "maximize"}[d] for d in directions], sampler=made)
