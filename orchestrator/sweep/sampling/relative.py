"""Genetic samplers that do not compare the fields of all trials anew at every draw."""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState


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
