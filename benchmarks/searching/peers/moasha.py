"""Syne Tune's MOASHA (Schmucker et al. 2021, https://arxiv.org/abs/2106.12639), its resource the stages.

Runs in an environment with syne-tune, https://syne-tune.readthedocs.io.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

import numpy as np
from asking import Asking, sweeps
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA


def domain(over: dict[str, Any]) -> Any:
    if "values" in over:
        return config_space.choice(over["values"])
    if over["integer"]:
        return (config_space.lograndint if over["log"] else config_space.randint)(over["low"], over["high"])
    return config_space.uniform(over["low"], over["high"])


def run(asking: Asking) -> None:
    random.seed(asking.seed)
    np.random.seed(asking.seed)  # noqa: NPY002 - which the package draws from
    metrics = [f"cost_{n}" for n in range(asking.objectives)]
    scheduler = MOASHA(
        config_space={over["name"]: domain(over) for over in asking.parameters},
        metrics=metrics,
        time_attr="stage",
        max_t=len(asking.costs),
        random_seed=asking.seed,
    )
    number = 0
    while asking.left:
        trial = Trial(number, scheduler.suggest().config, datetime.datetime.now())
        number += 1
        scheduler.on_trial_add(trial)
        for stage in range(1, len(asking.costs) + 1):
            costs = asking.measured(trial.config, stage)
            result = {"stage": stage, **dict(zip(metrics, costs, strict=True))}
            if scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
                break
        if stage == len(asking.costs):
            scheduler.on_trial_complete(trial, result)
        else:
            scheduler.on_trial_remove(trial)


for sweep in sweeps():
    run(sweep)
