"""Proposals: configurations that were not asked for yet, each once; what repeats one is told its outcome, aside."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from anonymizers import ANONYMIZERS, Anonymizer
from orchestrator.sweep.sampling.draws import Drawn, EvenPoints, Known
from orchestrator.sweep.sampling.shown import Chooses, Few, Generations, Nothing, Shown
from orchestrator.sweep.study import FLAT, GENETIC, make_sampler, make_study, seed_of
from search_spaces import SearchSpace

ANCHORS = ("identity", "blackout", "word")
"""Methods that every sweep measures first: the two ends, and what a told word alone is worth."""
MOST_REPEATS = 30
"""Repeats in a row after which a sampler gets an untried configuration drawn at random: it has converged, or the space
is nearly used up."""
LEAST_DRAWS, MOST_DRAWS = 200, 20_000
"""Random draws, all repeats, after which a space counts as used up: 30 for each of its configurations, within these."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Hold a configuration to be measured.

    Attributes:
        anonymizer: the configuration.
        trial: of the study; None for an anchor.
        drawn: what the study drew for it, as JSON: its parameters, and before them those of repeats. None where nothing
            is drawn, for anchors and lists. With it the study is told in another process what was drawn in this one.
    """

    anonymizer: Anonymizer
    trial: optuna.Trial | None
    drawn: str | None = None


class Proposals:
    """Ask a study for configurations, and tell it what came of them.

    A sampler may propose what it proposed before. Such a repeat is told the outcome that is known, or waits by its
    configuration until there is one; the next that is asked for is another. So a sweep measures as many configurations
    as it was given trials, and no trial waits for another one. All of it follows from the seed and the order of
    `ask` and `tell`, or of `recall` and `tell`, which asks no sampler.
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
            sampler: of `make_sampler`.
            trials: number of configurations besides the anchors.
            seed: of the sampler.
            anchors: whether ANCHORS come first.
            begun_with: number of trials that the sweep was begun with, which sizes a population.

        Raises:
            ValueError: if the sampler is unknown.
        """
        self.space = space
        self.objectives = dict(objectives)
        self.sampler = sampler
        self.flat = sampler in FLAT
        self._seed = seed
        self._begun_with = begun_with
        self._storage = Shown()
        self.study = make_study(list(objectives.values()), self._storage)
        self.study.sampler = make_sampler(sampler, seed=seed, trials=begun_with)
        self._shown: Chooses = _chooses(sampler, self.study)
        self._drawn = 0
        self._points = EvenPoints(space.dimensions, seed) if sampler == "qmc" else None
        self._names: set[str] = set()
        self._outcomes: dict[str, tuple[float, ...] | None] = {}
        self._waiting: dict[str, list[optuna.Trial]] = {}
        fixed = {repr(a) for a in space.configurations}
        first = [ANONYMIZERS[name]() for name in ANCHORS] if anchors else []
        self._anchors: deque[Anonymizer] = deque(a for a in first if repr(a) not in fixed)
        self._listed: deque[dict[str, Any]] | None = None
        if space.configurations or sampler == "grid":
            listed = {repr(self.space.decode(point)): point for point in space.points(trials)}
            taken = {repr(a) for a in self._anchors}
            self._listed = deque(point for name, point in listed.items() if name not in taken)
            trials = len(self._listed)
        self.total = len(self._anchors) + trials

    def ask(self) -> Asked | None:
        """Return a configuration that was not asked for before, or None if the space is used up."""
        if self._anchors:
            anchor = self._anchors.popleft()
            self._names.add(repr(anchor))
            return Asked(anchor, None)
        if self._listed is not None:
            while self._listed:
                if self._is_new(asked := self._next(self._listed.popleft())):
                    return asked
            return None
        drawn = []
        for attempt in range(MOST_REPEATS + 1):
            parameters = None
            if attempt == MOST_REPEATS:
                parameters = self._untried()
                if parameters is None:
                    return None
            elif self._points is not None:
                parameters = self.space.suggest(Drawn(iter(self._points.at(self._drawn)).__next__))
            asked = self._next(parameters)
            assert asked.trial is not None
            drawn.append(asked.trial.params)
            if self._is_new(asked):
                return Asked(asked.anonymizer, asked.trial, json.dumps(drawn))
        return None

    def recall(self, drawn: str | None) -> Asked | None:
        """Ask as it was asked before, with what was drawn then.

        Args:
            drawn: of what `ask` returned.

        Returns:
            What `ask` returned; None if there is nothing left that is not drawn.

        Raises:
            ValueError: if the parameters are none of this space, or it was not asked in this order.
        """
        if drawn is None:
            return self.ask() if self._anchors or self._listed else None
        *repeats, last = (self._next(parameters) for parameters in json.loads(drawn))
        if any(map(self._is_new, repeats)) or not self._is_new(last):
            raise ValueError(f"expected {last.anonymizer} to be new, and what was drawn before it not to be")
        return Asked(last.anonymizer, last.trial, drawn)

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
        running = self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])
        return [trial.number for trial in running]

    def _next(self, parameters: Mapping[str, Any] | None = None) -> Asked:
        """Let the sampler draw a trial, or enter the given parameters as one."""
        if parameters is not None:
            known = self.space.suggest(Known(parameters), flat=self.flat)
            self.study.enqueue_trial({name: parameters[name] for name in known if name in parameters})
        if self._listed is None:
            self.study.sampler = make_sampler(
                self.sampler, seed=seed_of(self._seed, self._drawn), trials=self._begun_with
            )
        self._drawn += 1
        with self._storage.only(self._shown.chosen()):
            trial = self.study.ask()
            suggested = self.space.suggest(trial, flat=self.flat)
            self._shown.begun(self._storage.get_trial(trial.number))
        return Asked(self.space.decode(suggested), trial)

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
        if values is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self._shown.ended(trial.number, None, 0.0)
        else:
            self.study.tell(trial, list(values))
            signs = [1 if way == "min" else -1 for way in self.objectives.values()]
            self._shown.ended(trial.number, [sign * value for sign, value in zip(signs, values, strict=True)], 0.0)

    def _untried(self) -> dict[str, Any] | None:
        """Draw parameters of a configuration that was not asked for; None if there seems to be none."""
        chance = Drawn.by_chance(f"{self._seed}, after {len(self._names)}")
        draws = min(MOST_DRAWS, max(LEAST_DRAWS, 30 * (self.space.size or 0)))
        for _ in range(draws):
            parameters = self.space.suggest(chance, flat=self.flat)
            if repr(self.space.decode(parameters)) not in self._names:
                return parameters
        return None


def _chooses(sampler: str, study: optuna.Study) -> Chooses:
    if sampler in GENETIC:
        return Generations(study)
    return Few() if sampler in ("tpe", "gp") else Nothing()
