"""Sweeps of this project's searcher, and of Optuna as its documentation shows it, on a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from benchmarks.searching.problem import Problem, Tried
from orchestrator.sweep.proposals import ANCHORS, Proposals
from orchestrator.sweep.racing import Racing, Stop, decide


def search(problem: Problem, sampler: str, seed: int, budget: int, *, racing: bool) -> list[Tried]:
    """Search on one panel, as `orchestrator.sweep.sweep.Sweep` does, until so many whole trials' passes are spent."""
    own = ANCHORS if problem.space.methods != ("point",) else ()
    proposals = Proposals(
        problem.space,
        problem.objectives,
        sampler=sampler,
        trials=3 * budget,
        seed=seed,
        begun_with=budget,
        anchors=bool(own),
    )
    race = Racing(problem.objectives, seed=seed)
    spent, tried = 0.0, list[Tried]()
    while spent < budget and (asked := proposals.ask()) is not None:
        trial, audited, stop = len(tried), False, None
        for seen in problem.stages(asked.anonymizer):
            if not seen.stage or not racing or asked.anonymizer.method in own or audited:
                continue
            stop = decided(race, trial, seen.stage, seen.values, seen.draws)
            audited = stop is not None and race.audits(trial)
            if stop is not None and not audited:
                break
        spent += seen.cost
        if seen.stage:
            proposals.tell(asked, race.guess(seen.values))
        else:
            race.add(trial, seen.values, seen.draws)
            proposals.tell(asked, seen.values)
        tried.append(Tried(asked.anonymizer, seen, spent, stopped=bool(seen.stage)))
    return tried


def decided(
    race: Racing, trial: int, stage: str, values: Mapping[str, float | None], draws: Mapping[str, Any]
) -> Stop | None:
    """Decide as `Racing.decision` does."""
    if not race.front:
        return None
    return decide(stage, race.standing(trial, values, draws), race.front, race.confidence)


def optunas(problem: Problem, sampler: str, seed: int, budget: int) -> list[Tried]:
    """Search with Optuna's own loop and one of its samplers as they come, every trial whole."""
    chosen: optuna.samplers.BaseSampler
    if sampler == "nsga2":
        chosen = optuna.samplers.NSGAIISampler(seed=seed)
    elif sampler == "tpe":
        chosen = optuna.samplers.TPESampler(seed=seed)
    else:
        chosen = optuna.samplers.RandomSampler(seed=seed)
    ways = ["minimize" if way == "min" else "maximize" for way in problem.objectives.values()]
    study = optuna.create_study(directions=ways, sampler=chosen)
    spent, tried = 0.0, list[Tried]()
    while spent < budget:
        trial = study.ask()
        configuration = problem.space.decode(problem.space.suggest(trial))
        seen = problem.stages(configuration)[-1]
        spent += seen.cost
        study.tell(trial, [seen.values[name] for name in problem.objectives])
        tried.append(Tried(configuration, seen, spent))
    return tried
