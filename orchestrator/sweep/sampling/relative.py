"""Optuna's samplers, without the work that a space of several methods makes needless."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces.space import METHOD

Floats = npt.NDArray[np.float64]


class _OneRange:
    """Find the fields that parents have in common by their names: in one space a name has one range.

    Optuna's samplers compare the ranges too, of every field of every trial, which was half of a draw; what is found is
    the same.
    """

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the fields that all complete trials have, with more than one value, by name in order."""
        seen = [one.distributions for one in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        if not seen:
            return {}
        common = set(seen[0]).intersection(*seen[1:])
        return {name: seen[0][name] for name in sorted(common) if not seen[0][name].single()}


class NSGA2(_OneRange, optuna.samplers.NSGAIISampler):  # type: ignore[misc]
    """Draw as Optuna's NSGA-II does."""


class NSGA3(_OneRange, optuna.samplers.NSGAIIISampler):  # type: ignore[misc]
    """Draw as Optuna's NSGA-III does."""


class TPE(optuna.samplers.TPESampler):  # type: ignore[misc]
    """Draw as Optuna's TPE does in groups of fields: first the method, then its fields, and no other method's.

    Groups are drawn independently of each other, so that what is drawn has the same distribution. Of the candidates
    for a method's fields the most promising is taken that was not tried yet. Nothing is drawn where a trial's
    parameters are given.
    """

    def __init__(self, *, seed: int, first: int, is_new: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """Prepare the draws of a seed.

        Args:
            seed: of the draws.
            first: trials that are drawn at random.
            is_new: tells of a method and its fields whether they were not tried yet; None where all are welcome.
        """
        with warnings.catch_warnings():
            # Grouping is how TPE learns in conditional spaces; that its interface may change is no concern of the user.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=first)
        self._is_new = is_new
        self._method: dict[str, Any] = {}
        self._over: dict[str, BaseDistribution] = {}
        self._used_up: set[str] = set()
        self._found = False

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the method and its fields; see `optuna.samplers.BaseSampler`."""
        if "fixed_params" in trial.system_attrs:
            return {}
        if METHOD not in search_space:
            drawn: dict[str, Any] = super().sample_relative(study, trial, search_space)
            return drawn
        self._used_up.clear()
        while True:
            drawn = super().sample_relative(study, trial, {METHOD: search_space[METHOD]})
            if not drawn or drawn[METHOD] in self._used_up:
                return drawn
            self._method, self._found = dict(drawn), False
            own = {name: over for name, over in search_space.items() if name.startswith(f"{drawn[METHOD]}.")}
            drawn |= super().sample_relative(study, trial, own)
            if self._found or self._is_new is None or (not own and self._is_new(self._method)):
                return drawn
            self._used_up.add(drawn[METHOD])

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._over = search_space
        drawn: dict[str, Any] = super()._sample(study, trial, search_space)
        return drawn

    def _compute_acquisition_func(self, samples: dict[str, Floats], mpe_below: object, mpe_above: object) -> Floats:
        """Return what each candidate promises, as logarithms; of one that was tried, nothing."""
        promised: Floats = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        if self._is_new is None:
            return promised
        for place in np.argsort(-promised, kind="stable"):
            drawn = {name: self._over[name].to_external_repr(of[place]) for name, of in samples.items()}
            self._found = drawn[METHOD] not in self._used_up if METHOD in drawn else self._is_new(self._method | drawn)
            if self._found:
                break
            promised[place] = -np.inf
        return promised
