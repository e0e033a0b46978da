"""Optuna's samplers, without the work that a space of several methods makes needless."""

from __future__ import annotations

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
    for a method's fields the most promising is taken that was not tried yet; where all were, the method that comes
    next. Nothing is drawn where a trial's parameters are given.
    """

    def __init__(self, *, seed: int, first: int, is_new: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """Prepare the draws of a seed.

        Args:
            seed: of the draws.
            first: trials that are drawn at random.
            is_new: tells of a method and its fields whether they were not tried yet; None where all are welcome.
        """
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=first)
        self._is_new = is_new
        self._over: dict[str, BaseDistribution] = {}
        self._methods: list[str] = []
        self._method: dict[str, Any] = {}
        self._found = False

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the fields that some complete trial has, with more than one value, by name in order."""
        seen: dict[str, BaseDistribution] = {}
        for one in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            seen |= one.distributions
        return {name: seen[name] for name in sorted(seen) if not seen[name].single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the method and its fields; see `optuna.samplers.BaseSampler`."""
        if "fixed_params" in trial.system_attrs:
            return {}
        if METHOD not in search_space:
            drawn: dict[str, Any] = self._sample_relative(study, trial, search_space)
            return drawn
        drawn = self._sample_relative(study, trial, {METHOD: search_space[METHOD]})
        for method in self._methods if drawn else ():
            self._method, self._found = {METHOD: method}, False
            own = {name: over for name, over in search_space.items() if name.startswith(f"{method}.")}
            drawn = self._method | self._sample_relative(study, trial, own)
            if self._found or self._is_new is None or (not own and self._is_new(self._method)):
                break
        return drawn

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._over = search_space
        drawn: dict[str, Any] = super()._sample(study, trial, search_space)
        return drawn

    def _compute_acquisition_func(self, samples: dict[str, Floats], mpe_below: object, mpe_above: object) -> Floats:
        """Return what each candidate promises, as logarithms; of one that was tried, nothing."""
        promised: Floats = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        best = np.argsort(-promised, kind="stable")
        if METHOD in samples:
            over = self._over[METHOD]
            self._methods = list(dict.fromkeys(over.to_external_repr(samples[METHOD][place]) for place in best))
        elif self._is_new is not None:
            for place in best:
                drawn = {name: self._over[name].to_external_repr(of[place]) for name, of in samples.items()}
                self._found = self._is_new(self._method | drawn)
                if self._found:
                    break
                promised[place] = -np.inf
        return promised
