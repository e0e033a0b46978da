"""The study: Optuna's seeded sampler, which proposes points of the search space."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "nsga2", "gp", "random", "grid")


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
            made = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    elif sampler == "nsga2":
        # Optuna's default population of 50 would leave a sweep of 50 trials purely random.
        made = optuna.samplers.NSGAIISampler(seed=seed, population_size=max(8, min(50, trials // 5)))
    elif sampler == "gp":
        made = optuna.samplers.GPSampler(seed=seed)
    else:
        made = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(directions=[{"min": "minimize", "max": "maximize"}[d] for d in directions], sampler=made)
