"""Shown: a study keeps every trial, and shows its sampler few of them, so that asking costs the same at any length."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Sequence
from typing import Any, Protocol

import moocore
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

MOST, SLACK = 240, 60
"""Ended trials that a sampler learns from, and how many more are gathered before they are thinned again."""
RUNNING = 200
"""Running trials that it is shown, the last ones, so that it proposes something else."""
SPREAD = 2654435761
"""Times a number, modulo 2^32: orders the trials so that any first ones lie evenly over the sweep (Knuth, volume 3)."""


class Shown(optuna.storages.InMemoryStorage):  # type: ignore[misc]
    """Keep the trials of one study in memory; while a sampler looks, only some of them are there."""

    def __init__(self) -> None:
        """Begin without a trial."""
        super().__init__()
        self._few: list[int] | None = None
        self._before: dict[str, Any] = {}

    @contextlib.contextmanager
    def only(self, numbers: Sequence[int]) -> Iterator[None]:
        """Show the trials of these numbers alone."""
        self._few = sorted(numbers)
        try:
            yield
        finally:
            self._few = None

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; see `optuna.storages.BaseStorage`."""
        self._before = self._studies[study_id].system_attrs  # replaced, never changed, by what is noted there
        trial: int = super().create_new_trial(study_id, template_trial)
        return trial

    def withdraw(self) -> None:
        """Take the newest trial back, with what its sampler noted of the study: as if it had not been drawn."""
        trial, (study_id, number) = self._trial_id_to_study_id_and_number.popitem()
        study = self._studies[study_id]
        assert number == len(study.trials) - 1
        study.trials.pop()
        study.system_attrs = self._before
        self._max_trial_id = trial - 1

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials, those that are shown; see `optuna.storages.BaseStorage`."""
        if self._few is None or states == (TrialState.WAITING,):
            every: list[FrozenTrial] = super().get_all_trials(study_id, deepcopy, states)
            return every
        assert not deepcopy
        trials = [self.get_trial(number) for number in self._few]  # of a single study, whose numbers are the keys
        return trials if states is None else [trial for trial in trials if trial.state in states]


class Chooses(Protocol):
    """What decides which trials a sampler is shown."""

    def begun(self, trial: FrozenTrial) -> None:
        """Learn that a trial has its parameters."""
        ...

    def ended(self, trial: int, cost: Sequence[float] | None, violation: float) -> None:
        """Learn what came of a trial: costs, None if it failed, and by how much it breaks constraints."""
        ...

    def chosen(self) -> list[int]:
        """Return the numbers of the trials to be shown."""
        ...


class Nothing:
    """Show nothing to a sampler that does not learn."""

    def begun(self, trial: FrozenTrial) -> None:
        """See `Chooses`."""

    def ended(self, trial: int, cost: Sequence[float] | None, violation: float) -> None:
        """See `Chooses`."""

    def chosen(self) -> list[int]:
        """See `Chooses`."""
        return []


class Few:
    """Show the best trials of a sweep, and of the others so many that lie evenly over it.

    TPE compares the best with the rest, a Gaussian process fits all: for both the best half is what they refine, the
    other half where not to look. Up to MOST trials everything is shown.
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin without a trial."""
        self._most = most
        self._running: dict[int, None] = {}
        self._kept: dict[int, tuple[float, tuple[float, ...]]] = {}

    def begun(self, trial: FrozenTrial) -> None:
        """See `Chooses`."""
        self._running[trial.number] = None

    def ended(self, trial: int, cost: Sequence[float] | None, violation: float) -> None:
        """See `Chooses`."""
        del self._running[trial]
        if cost is not None:
            self._kept[trial] = (violation, tuple(cost))
            if len(self._kept) >= self._most + SLACK:
                best = self._best(self._most // 2)
                others = sorted(self._kept.keys() - best, key=lambda number: number * SPREAD % 2**32)
                kept = best | set(others[: self._most - len(best)])
                self._kept = {number: facts for number, facts in self._kept.items() if number in kept}

    def chosen(self) -> list[int]:
        """See `Chooses`."""
        return [*self._kept, *list(self._running)[-RUNNING:]]

    def _best(self, count: int) -> set[int]:
        """Return the numbers of the best: by the front that they are on, then those that break constraints least.

        Of the front where the count ends those are taken that lie evenly along it.
        """
        numbers = np.array(list(self._kept))
        violations = np.array([violation for violation, _ in self._kept.values()])
        feasible = np.flatnonzero(violations <= 0)
        best: list[int] = []
        if len(feasible):
            costs = np.array([cost for _, cost in self._kept.values()])[feasible]
            ranks = moocore.pareto_rank(costs)
            for rank in range(int(ranks.max()) + 1):
                layer = np.flatnonzero(ranks == rank)
                layer = layer[np.lexsort((*costs[layer].T[::-1],))]
                room = min(len(layer), count - len(best))
                best += numbers[feasible[layer[np.linspace(0, len(layer) - 1, room).round().astype(int)]]].tolist()
        broken = np.flatnonzero(violations > 0)
        best += numbers[broken[np.argsort(violations[broken], kind="stable")]][: count - len(best)].tolist()
        return set(best)


class Generations:
    """Show a genetic sampler its last generation and the parents of that and of the next: it looks at no other."""

    def __init__(self, study: optuna.Study) -> None:
        """Take the study, whose sampler counts generations."""
        self._study = study
        self._of: dict[int, int] = {}
        self._complete: dict[int, list[int]] = {}
        self._parents: dict[int, list[int]] = {}

    def begun(self, trial: FrozenTrial) -> None:
        """Learn which generation a trial belongs to, and that generation's parents, which are chosen with its first."""
        generation = self._study.sampler.get_trial_generation(self._study, trial)
        self._of[trial.number] = generation
        parents = self._study.sampler.get_parent_population(self._study, generation)
        self._parents.setdefault(generation, [parent.number for parent in parents])

    def ended(self, trial: int, cost: Sequence[float] | None, violation: float) -> None:
        """See `Chooses`."""
        generation = self._of.pop(trial)
        if cost is None or (self._complete and generation < max(self._complete)):
            return
        self._complete.setdefault(generation, []).append(trial)
        for kept in (self._complete, self._parents):
            for old in [number for number in kept if number < generation]:
                del kept[old]

    def chosen(self) -> list[int]:
        """See `Chooses`."""
        shown = {number for kept in (self._complete, self._parents) for some in kept.values() for number in some}
        return list(shown)
