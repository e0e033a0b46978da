"""Tally: the values, intervals and replicates of one configuration while they are collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.metrics import expression, statistics
from evaluators.metrics.kept import NEAR, Measured

PART_REPLICATES = 1_000
"""Of the people of a part, the same for every configuration."""


class Tally:
    """Collect values, intervals and replicates of one configuration."""

    def __init__(
        self, person: Tensor, draws: Tensor, objectives: Sequence[str], released: Tensor | None = None
    ) -> None:
        """Begin to collect.

        Args:
            person: (N,) int64, who is on each probe.
            draws: (R, P) float64 of `person_draws`.
            objectives: whose replicates are kept.
            released: (N,) int64, equal where two probes got the same released picture; None where nobody shares any.
        """
        self.person = person
        self.draws = draws
        self.objectives = objectives
        self.share(released)
        self.values: dict[str, float | None] = {}
        self.intervals: dict[str, tuple[float, float]] = {}
        self.replicates: dict[str, NDArray[np.float32]] = {}
        self.confusions: dict[str, dict[str, list[int]]] = {}
        self.groups: dict[str, dict[str, dict[str, Any]]] = {}

    def part(self, rows: Tensor) -> Tally:
        """Return an empty tally of (n,) probes alone, whose people are drawn among themselves."""
        people, index = self.person[rows].unique(return_inverse=True)
        released = None if self.released is None else self.released[rows.to(self.released.device)]
        return Tally(index, statistics.person_draws(len(people), PART_REPLICATES), (), released)

    def put_group(self, whose: tuple[str, str], **figures: Any) -> None:
        """Put figures of a group of people, named by attribute and group."""
        attribute, group = whose
        self.groups.setdefault(attribute, {}).setdefault(group, {}).update(figures)

    def put_confusion(self, judge: str, reader: str, counts: Tensor) -> None:
        """Put the (P, C, C) counts per person of what a judge says of clear faces and a reader of released ones."""
        self.confusions.setdefault(judge, {})[reader] = counts.sum(0).long().flatten().tolist()

    @property
    def details(self) -> dict[str, Any]:
        """Return what was put that has no column, ready for JSON."""
        found = {"confusions": self.confusions, "groups": self.groups}
        return {name: one for name, one in found.items() if one}

    def share(self, released: Tensor | None) -> None:
        """Take note of which probes got the same released picture, see `__init__`, before anything is put."""
        self.released = released
        self.second = None if released is None else statistics.second_units(self.person, released, len(self.draws))

    def put(
        self, name: str, value: float, interval: tuple[float, float] | None = None, replicates: Tensor | None = None
    ) -> None:
        """Put a value, with its interval and (R,) replicates where it has them; replicates of objectives are kept."""
        self.values[name] = value
        if interval is not None:
            self.intervals[name] = interval
        if replicates is not None and name in self.objectives:
            self.replicates[name] = replicates.numpy().astype(np.float32)

    def replicates_of(self, compute: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the (R,) replicates of a figure over the drawn people, and over released pictures where some share.

        Args:
            compute: the figure's replicates, of (N,) units of the probes and (R, U) draws of them.
        """
        people = statistics.Units(self.person, self.draws)
        return statistics.widened(lambda units: compute(units.index, units.draws), people, self.second)

    def mean_replicates(self, value: Tensor, person: Tensor | None = None) -> Tensor:
        """Return the (R,) means of (N,) values over the drawn people; `person` where they are not the probes'."""
        wide = value.double()
        if person is not None:
            return statistics.mean_replicates(wide, person, self.draws)
        found = self.replicates_of(lambda index, draws: statistics.mean_replicates(wide, index, draws))
        return found.clamp(float(wide.min()), float(wide.max()))  # where widened ones would leave what a mean can be

    def interval(self, replicates: Tensor) -> tuple[float, float]:
        """Return the bootstrap interval of (R,) replicates over these people, or fewer released pictures."""
        units = self.draws.shape[1]
        return statistics.percentile_interval(
            replicates, units if self.second is None else min(units, self.second[0].draws.shape[1])
        )

    def wilson(self, value: Tensor, person: Tensor | None = None) -> tuple[float, float]:
        """Return the adjusted Wilson interval of (N,) values in [0, 1]; `person` where they are not the probes'."""
        if person is not None:
            return statistics.wilson_interval(value, person)
        return statistics.wilson_interval(value, self.person, released=self.released)

    def rate(self, name: str, value: Tensor) -> None:
        """Put a mean of (N,) values in [0, 1] with its adjusted Wilson interval.

        Where pictures are shared it is united with that of the replicates, which knows more of how units lie together.
        """
        interval = self.wilson(value)
        wanted = name in self.objectives or self.second is not None
        replicates = self.mean_replicates(value) if wanted else None
        if replicates is not None and self.second is not None:
            interval = statistics.united(interval, self.interval(replicates))
        self.put(name, float(value.mean()), interval, replicates)

    def largest(self, name: str, values: Mapping[str, Tensor], person: Tensor | None = None) -> Tensor:
        """Put the largest of several rates, given by (N,) values; returns (R,) replicates.

        `person`, (N,) int64, says whose they are where they are not the probes'.

        The interval is that of the replicates of the maximum, widened to the adjusted Wilson interval of the largest
        rate: a plain bootstrap has no width where every picture, or none, counts.
        """
        top = max(values, key=lambda rate: float(values[rate].mean()))
        replicates = torch.stack([self.mean_replicates(value, person) for value in values.values()]).amax(0)
        interval = statistics.united(self.interval(replicates), self.wilson(values[top], person))
        self.put(name, float(values[top].mean()), interval, replicates)
        return replicates

    def mean(self, name: str, value: Tensor) -> None:
        """Put a mean of (N,) values with its bootstrap interval."""
        value = value.double().cpu()
        replicates = self.mean_replicates(value)
        self.put(name, float(value.mean()), self.interval(replicates), replicates)

    def confusion(self, reference: Tensor, answer: Tensor, classes: int, known: Tensor | None = None) -> Tensor:
        """Return (P, C, C) counts per person of two answers, given on the pictures that are `known`, (N,) bool."""
        person = self.person if known is None else self.person[known.cpu()]
        people = self.draws.shape[1]
        return expression.confusion_by_person(reference.cpu(), answer.cpu(), person, people, classes)

    def kappa(self, name: str, reference: Tensor, answer: Tensor, classes: int) -> None:
        """Put Cohen's kappa of two (N,) answers with its interval."""
        found = self.agreed(reference, answer, classes)
        self.put(name, found.value, found.interval, found.draws)

    def agreed(self, reference: Tensor, answer: Tensor, classes: int) -> Measured:
        """Compute Cohen's kappa of two (N,) answers.

        The interval is that of the replicates. Near 1, where hardly anybody disagrees, these vary too little: it is
        united with the adjusted Wilson interval of the raw agreement p, mapped through (p - e) / (1 - e) with the
        chance agreement e.
        """
        reference, answer = reference.cpu(), answer.cpu()

        def replicates(index: Tensor, draws: Tensor) -> Tensor:
            counts = expression.confusion_by_person(reference, answer, index, draws.shape[1], classes)
            return expression.kappa_replicates(counts, draws)

        counts = self.confusion(reference, answer, classes).sum(0)
        right, chance = (reference == answer).double(), float(expression.chance_agreement(counts))
        value, draws = float(expression.kappa(counts)), self.replicates_of(replicates).clamp_max(1.0)
        interval = self.interval(draws)
        if value > NEAR:
            low, high = ((end - chance) / (1 - chance) for end in self.wilson(right))
            interval = statistics.united(interval, (low, high))
        return Measured(value, draws, interval, right, chance)
