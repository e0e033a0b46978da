"""Proposals: configurations that were not asked for yet, each once; what repeats one is told its outcome, aside."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anonymizers import ANONYMIZERS, Anonymizer
from orchestrator.sweep.study import FLAT, make_study
from search_spaces import SearchSpace

if TYPE_CHECKING:
    import optuna

ANCHORS = ("identity", "blackout", "word")
"""Methods that every sweep measures first: the two ends, and what a told word alone is worth."""
MOST_REPEATS = 30
"""Repeats in a row after which a sampler gets an untried configuration drawn at random: it has converged, or the space
is nearly used up."""
LEAST_DRAWS, MOST_DRAWS = 200, 20_000
"""Random draws, all repeats, after which a space counts as used up: 30 for each of its configurations, within these."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Hold a configuration to be measured, and the trial of the study that it is; None for an anchor."""

    anonymizer: Anonymizer
    trial: optuna.Trial | None


class Proposals:
    """Ask a study for configurations, and tell it what came of them.

    A sampler may propose what it proposed before. Such a repeat is told the outcome that is known, or waits by its
    configuration until there is one; the next that is asked for is another. So a sweep measures as many configurations
    as it was given trials, and no trial waits for another one. All of it follows from the seed and the order of
    `ask` and `tell`.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Mapping[str, str],
        *,
        sampler: str,
        trials: int,
        seed: int,
        begun_with: int,
        anchors: bool = True,
    ) -> None:
        """Prepare the study.

        Args:
            space: what may be tried; a fixed list is tried whole, in its order.
            objectives: metric name -> "min" or "max".
            sampler: of `make_study`.
            trials: number of configurations besides the anchors.
            seed: of the sampler.
            anchors: whether ANCHORS come first.
            begun_with: number of trials that the sweep was begun with, which sizes a population.
        """
        self.space = space
        self.objectives = dict(objectives)
        self.study = make_study(sampler, list(objectives.values()), seed=seed, trials=begun_with)
        self.flat = sampler in FLAT
        self._seed = seed
        self._names: set[str] = set()
        self._outcomes: dict[str, tuple[float, ...] | None] = {}
        self._waiting: dict[str, list[optuna.Trial]] = {}
        fixed = {repr(a) for a in space.configurations}
        first = [ANONYMIZERS[name]() for name in ANCHORS] if anchors else []
        self._anchors: list[Anonymizer] = [a for a in first if repr(a) not in fixed]
        if space.configurations or sampler == "grid":
            listed = {repr(self.space.decode(point)): point for point in space.points(trials)}
            points = [point for name, point in listed.items() if name not in {repr(a) for a in self._anchors}]
            for point in points:
                self.study.enqueue_trial(point)
            trials = len(points)
        self.total = len(self._anchors) + trials

    def ask(self) -> Asked | None:
        """Return a configuration that was not asked for before, or None if the space is used up."""
        if self._anchors:
            anchor = self._anchors.pop(0)
            self._names.add(repr(anchor))
            return Asked(anchor, None)
        for _ in range(MOST_REPEATS):
            asked = self._next()
            if self._is_new(asked):
                return asked
        drawn = self._untried()
        if drawn is None:
            return None
        self.study.enqueue_trial(drawn)
        asked = self._next()
        return asked if self._is_new(asked) else None

    def tell(self, asked: Asked, measured: Mapping[str, float | None] | None) -> None:
        """Tell the study what came of a configuration, for itself and for the repeats that wait.

        Args:
            asked: the configuration.
            measured: the objectives; None if it failed.
        """
        name = repr(asked.anonymizer)
        values = None
        if measured is not None:
            found = [measured[objective] for objective in self.objectives]
            values = tuple(float(value) for value in found if value is not None)
            assert len(values) == len(found) and all(map(math.isfinite, values)), "measured, and finite by Scores"
        self._outcomes[name] = values
        for trial in (asked.trial, *self._waiting.pop(name, ())):
            if trial is not None:
                self._close(trial, values)

    def left_running(self) -> list[int]:
        """Return the trials of the study that were told nothing; its sampler would wait for them for ever."""
        import optuna

        running = self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])
        return [trial.number for trial in running]

    def _next(self) -> Asked:
        trial = self.study.ask()
        return Asked(self.space.decode(self.space.suggest(trial, flat=self.flat)), trial)

    def _is_new(self, asked: Asked) -> bool:
        """Tell whether a configuration is none that was asked for; a repeat is told what is known, or waits."""
        name = repr(asked.anonymizer)
        if name not in self._names:
            self._names.add(name)
            return True
        assert asked.trial is not None
        if name in self._outcomes:
            self._close(asked.trial, self._outcomes[name])
        else:
            self._waiting.setdefault(name, []).append(asked.trial)
        return False

    def _close(self, trial: optuna.Trial, values: tuple[float, ...] | None) -> None:
        import optuna

        if values is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, list(values))

    def _untried(self) -> dict[str, Any] | None:
        """Draw parameters of a configuration that was not asked for; None if there seems to be none."""
        chance = _Drawn(random.Random(f"{self._seed}, after {len(self._names)}"))
        draws = min(MOST_DRAWS, max(LEAST_DRAWS, 30 * (self.space.size or 0)))
        for _ in range(draws):
            parameters = self.space.suggest(chance)
            if repr(self.space.decode(parameters)) not in self._names:
                return parameters
        return None


class _Drawn:
    """Suggest evenly drawn values, as a trial of Optuna's would."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        return self._chance.choice(list(choices))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return min(high, max(low, math.exp(self._chance.uniform(math.log(low), math.log(high)))))
        return self._chance.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._chance.randrange(low, high + 1, step)
