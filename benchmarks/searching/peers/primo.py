"""NePS's PriMO without priors (Basu et al., 2025, https://openreview.net/forum?id=t10fl8V0ox), its fidelity the stages.

Runs in an environment with neural-pipeline-search, https://automl.github.io/neps.
"""

from __future__ import annotations

import random
from typing import Any

import neps
import numpy as np
import torch
from asking import Asking, sweeps
from neps.space import HPOCategorical, HPOFloat, HPOInteger, SearchSpace


def parameter(over: dict[str, Any]) -> Any:
    if "values" in over:
        return HPOCategorical(over["values"])
    return (HPOInteger if over["integer"] else HPOFloat)(over["low"], over["high"], log=over["log"])


def run(asking: Asking) -> None:
    random.seed(asking.seed)
    np.random.seed(asking.seed)  # noqa: NPY002 - which the package draws from
    torch.manual_seed(asking.seed)
    space = SearchSpace(
        {over["name"]: parameter(over) for over in asking.parameters}
        | {"stage": HPOInteger(1, len(asking.costs), is_fidelity=True)}
    )
    optimizer = neps.AskAndTell(neps.algorithms.primo(space, prior_centers={}))
    while asking.left:
        trial = optimizer.ask()
        parameters = {name: value for name, value in trial.config.items() if name != "stage"}
        optimizer.tell(trial, {"objective_to_minimize": asking.measured(parameters, int(trial.config["stage"]))})


for sweep in sweeps():
    run(sweep)
