"""Proposals: configurations that were not asked for yet, each once; a draw that repeats one leaves no trace."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from anonymizers import ANONYMIZERS, Anonymizer
from evaluators.metrics.constraints import Constraint
from orchestrator.sweep.sampling.draws import Drawn, EvenPoints, Known
from orchestrator.sweep.sampling.shown import Chooses, Few, Generations, Nothing, Shown
from orchestrator.sweep.study import FLAT, GENETIC, make_sampler, make_study, seed_of
from search_spaces import SearchSpace
from search_spaces.space import METHOD

ANCHORS = ("identity", "blackout", "word")
"""Methods that every sweep measures first: the two ends, and what a told word alone is worth."""
MOST_POINTS = 30
"""Sobol's points, all repeats, after which one is drawn at random: the space is nearly used up."""
LEAST_DRAWS, MOST_DRAWS = 200, 20_000
"""Random draws, all repeats, after which a space counts as used up: 30 for each of its configurations, within these."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Hold a configuration to be measured.

    Attributes:
        anonymizer: the configuration.
        trial: of the study; None for an anchor.
        drawn: what the study drew for it, as JSON: its parameters, and which draw it was, repeats counted. None where
            nothing is drawn, for anchors and lists. With it the study is told in another process what was drawn here.
    """

    anonymizer: Anonymizer
    trial: optuna.Trial | None
    drawn: str | None = None


class Proposals:
    """Ask a study for configurations, and tell it what came of them.

    A sampler may propose what it proposed before. Such a repeat is taken back, and one drawn at random that was not
    tried yet comes in its place, as genetic algorithms drop duplicates and let immigrants in (Grefenstette, Genetic
    Algorithms for Changing Environments, PPSN 1992). So a sweep measures as many configurations as it was given
    trials, no trial waits for another one, and the study holds what was measured, once. All of it follows from the
    seed and the order of `ask` and `tell`, or of `recall` and `tell`, which asks no sampler.
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
        constraints: Sequence[Constraint] = (),
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
            constraints: that a configuration must keep; how far it breaks them is told to the sampler.

        Raises:
            ValueError: if the sampler is unknown.
        """
        self.space = space
        self.objectives = dict(objectives)
        self.constraints = tuple(constraints)
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
            return self._keep(self._next(self._listed.popleft())) if self._listed else None
        for _ in range(1 if self._points is None else MOST_POINTS):
            point = None
            if self._points is not None:
                point = self.space.suggest(Drawn(iter(self._points.at(self._drawn)).__next__))
            asked = self._next(point)
            if repr(asked.anonymizer) not in self._names:
                return self._keep(asked)
            self._storage.withdraw()
        untried = self._untried()
        return None if untried is None else self._keep(self._next(untried))

    def recall(self, name: str, drawn: str | None) -> Asked | None:
        """Ask as it was asked before, with what was drawn then.

        Args:
            name: of the configuration, its repr.
            drawn: of what `ask` returned.

        Returns:
            What `ask` returned; None if there is nothing left that is not drawn.

        Raises:
            ValueError: if the parameters are none of this space, or it was not asked in this order.
        """
        if drawn is None:
            return self._expected(name)
        told = json.loads(drawn)
        if not (isinstance(told, dict) and told.keys() == {"draw", "parameters"}):
            raise ValueError("expected a draw's number and its parameters")
        self._drawn = told["draw"]
        asked = self._next(told["parameters"])
        if repr(asked.anonymizer) in self._names:
            raise ValueError(f"expected {asked.anonymizer} to be new")
        return self._keep(asked)

    def adopt(self, anonymizer: Anonymizer) -> Asked | None:
        """Ask for a configuration whose outcome is known from elsewhere.

        Returns:
            It, or None if it was asked for before or the space does not have it.
        """
        if (asked := self._expected(repr(anonymizer))) is not None:
            return asked
        if self._listed is not None or repr(anonymizer) in self._names or anonymizer.method not in self.space.methods:
            return None
        others = self.space.suggest(Drawn.by_chance(f"{self._seed}, {anonymizer!r}"), flat=self.flat)
        own = {f"{anonymizer.method}.{field}": value for field, value in anonymizer.hyperparameters().items()}
        parameters = {**others, METHOD: anonymizer.method, **own}
        try:
            if repr(self.space.decode(self.space.suggest(Known(parameters), flat=self.flat))) != repr(anonymizer):
                return None  # a field is held at another value here
        except ValueError:
            return None
        return self._keep(self._next(parameters))

    def _expected(self, name: str) -> Asked | None:
        """Take an anchor or a listed configuration out of those that are to come."""
        for anchor in self._anchors:
            if repr(anchor) == name:
                self._anchors.remove(anchor)
                self._names.add(name)
                return Asked(anchor, None)
        for point in self._listed or ():
            if repr(self.space.decode(point)) == name and name not in self._names:
                assert self._listed is not None
                self._listed.remove(point)
                return self._keep(self._next(point))
        return None

    def tell(self, asked: Asked, measured: Mapping[str, float | None] | None) -> None:
        """Tell the study what came of a configuration.

        Args:
            asked: the configuration.
            measured: the objectives and what is constrained; None if it failed.
        """
        if (trial := asked.trial) is None:
            return
        if measured is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self._shown.ended(trial.number, None, 0.0)
            return
        found = {name: measured[name] for name in (*self.objectives, *(one.metric for one in self.constraints))}
        numbers = {name: float(value) for name, value in found.items() if value is not None}
        assert numbers.keys() == found.keys() and all(map(math.isfinite, numbers.values())), "finite by Scores"
        violations = {str(one): one.violation(numbers[one.metric]) for one in self.constraints}
        for name, violation in violations.items():
            trial.set_constraint(name, violation)
        self.study.tell(trial, [numbers[name] for name in self.objectives])
        costs = [numbers[name] if way == "min" else -numbers[name] for name, way in self.objectives.items()]
        self._shown.ended(trial.number, costs, sum(max(0.0, one) for one in violations.values()))

    def left_running(self) -> list[int]:
        """Return the trials of the study that were told nothing; its sampler would wait for them for ever."""
        running = self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])
        return [trial.number for trial in running]

    def _next(self, parameters: Mapping[str, Any] | None = None) -> Asked:
        """Let the sampler draw a trial, or enter the given parameters as one."""
        if parameters is not None:
            known = self.space.suggest(Known(parameters), flat=self.flat)
            self.study.enqueue_trial({name: parameters[name] for name in known if name in parameters})
        if parameters is None or self.sampler in GENETIC:  # parents are chosen by chance when a generation begins
            self.study.sampler = make_sampler(
                self.sampler,
                seed=seed_of(self._seed, self._drawn),
                trials=self._begun_with,
                is_new=self._is_new,
            )
        with self._storage.only(self._shown.chosen()):
            trial = self.study.ask()
            suggested = self.space.suggest(trial, flat=self.flat)
        draw, self._drawn = self._drawn, self._drawn + 1
        drawn = None if self._listed is not None else json.dumps({"draw": draw, "parameters": trial.params})
        return Asked(self.space.decode(suggested), trial, drawn)

    def _keep(self, asked: Asked) -> Asked:
        """Remember that a configuration was asked for, which is new."""
        assert asked.trial is not None
        self._names.add(repr(asked.anonymizer))
        with self._storage.only(self._shown.chosen()):
            self._shown.begun(self._storage.get_trial(asked.trial.number))
        return asked

    def _is_new(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether the configuration of a method and its fields was not asked for yet, or lacks some of them."""
        try:
            known = self.space.suggest(Known(parameters), flat=self.flat)
        except ValueError:
            return True
        return repr(self.space.decode(known)) not in self._names

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
