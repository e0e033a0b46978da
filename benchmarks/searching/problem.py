"""Problem: what searchers are compared on. It is measured in stages, with noise, and its truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from orchestrator.records.front import front_mask, hypervolume

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """Hold what is known of a configuration after a stage.

    Attributes:
        stage: its name; empty after the last.
        values: objective -> what is measured: the value, or the best that is still possible.
        draws: objective -> (R,) the same for draws of people.
        cost: passes by then, in those of a whole trial.
    """

    stage: str
    values: Mapping[str, float]
    draws: Mapping[str, NDArray[Any]]
    cost: float


class Problem(Protocol):
    """State what may be tried, and measure it.

    Attributes:
        objectives: name -> "min" or "max".
        worst, best: corners of the hypervolume.
        space: as `SearchSpace`: what `Proposals` needs of one.
        parameters: the same for searchers from elsewhere: {"name", "values"} or {"name", "low", "high", "integer",
            "log"} of each.
        choices: the configurations that there are, by their parameters, if they are few; empty if not.
        costs: of a trial up to each stage, on the average, in whole trials.
    """

    objectives: dict[str, str]
    worst: Sequence[float]
    best: Sequence[float]
    space: Any
    parameters: list[dict[str, Any]]
    choices: list[dict[str, Any]]
    costs: tuple[float, ...]

    def stages(self, configuration: Any) -> list[Seen]:
        """Measure a configuration to its end, as what is known after each stage."""
        ...

    def truth(self, configuration: Any) -> tuple[float, ...]:
        """Return the objectives of a configuration without noise."""
        ...


@dataclass(frozen=True, eq=False)
class Tried:
    """Hold what came of a trial.

    Attributes:
        configuration: of the problem.
        seen: what was measured of it last.
        spent: passes of the sweep by then, in whole trials.
        stopped: whether it was stopped by racing.
    """

    configuration: Any
    seen: Seen
    spent: float
    stopped: bool = False


def volume(problem: Problem, tried: Sequence[Tried]) -> float:
    """Measure the hypervolume, of the truth, of the front that a sweep prints: of what it measured to the end."""
    whole = [one for one in tried if not one.seen.stage]
    if not whole:
        return 0.0
    ways = list(problem.objectives.values())
    measured = np.array([[one.seen.values[name] for name in problem.objectives] for one in whole])
    printed = [one for one, kept in zip(whole, front_mask(measured, ways), strict=True) if kept]
    truth = np.array([problem.truth(one.configuration) for one in printed])
    return hypervolume(truth, ways, problem.worst, problem.best)


def curve(problem: Problem, tried: Sequence[Tried], budget: int) -> Floats:
    """Return (budget,) hypervolumes after 1, 2, ... whole trials' passes."""
    return np.array([volume(problem, [one for one in tried if one.spent <= after]) for after in range(1, budget + 1)])


def wrong_stops(problem: Problem, tried: Sequence[Tried]) -> tuple[int, int, int]:
    """Count trials that were stopped, those of them that nothing dominates in truth, and all that nothing dominates."""
    truth = np.array([problem.truth(one.configuration) for one in tried])
    on_front = front_mask(truth, list(problem.objectives.values()))
    stopped = np.array([one.stopped for one in tried])
    # A configuration that was measured to its end by another trial is not lost.
    kept = {tuple(point) for point, one in zip(truth, tried, strict=True) if not one.seen.stage}
    lost = [tuple(point) not in kept for point in truth]
    return int(stopped.sum()), int((stopped & on_front & lost).sum()), int(on_front.sum())
