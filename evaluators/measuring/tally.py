"""Tally: the values, intervals and replicates of one configuration, and what people add, while they are collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.measuring.by_person import compact, halved
from evaluators.metrics import expression, statistics
from evaluators.metrics.kept import NEAR, Measured
from evaluators.metrics.scores import People, Stretch

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
        self.sums: dict[str, NDArray[Any]] = {}
        self.stretched: dict[str, Stretch] = {}
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
    def people(self) -> People:
        """Return what each person adds, see `by_person`."""
        return People(dict(self.sums), dict(self.stretched))

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

    def replicates_of(
        self,
        compute: Callable[[Tensor, Tensor], Tensor],
        ends: tuple[float | None, float],
        kept: tuple[str, NDArray[Any]] | None = None,
    ) -> Tensor:
        """Return the (R,) replicates of a figure over the drawn people, and over released pictures where some share.

        Args:
            compute: the figure's replicates, of (N,) units of the probes and (R, U) draws of them.
            ends: what the figure can be at least and at most, which widened ones would leave.
            kept: name and array of what is kept by person, from which the replicates over people follow.
        """
        replicates = compute(self.person, self.draws)
        stretch = statistics.stretch_of(replicates, lambda units: compute(units.index, units.draws), self.second)
        if kept is not None:
            name, sums = kept
            self.sums[name] = sums
            self.stretched.pop(name, None)
            if stretch != 1.0:
                self.stretched[name] = (stretch, *ends)
        return statistics.stretched(replicates, stretch).clamp(*ends)

    def mean_replicates(self, value: Tensor, person: Tensor | None = None, kept: str | None = None) -> Tensor:
        """Return the (R,) means of (N,) values over the drawn people.

        Args:
            value: one for each probe.
            person: (N,) int64, whose they are where they are not the probes'.
            kept: name by which their sums are kept by person.
        """
        wide = value.double().cpu()

        def replicates(index: Tensor, draws: Tensor) -> Tensor:
            units = draws.shape[1]
            sums = torch.from_numpy(compact(statistics.sums_by(wide, index, units)))  # as they can be kept
            return statistics.mean_of_sums(sums.double(), torch.bincount(index, minlength=units), draws)

        whose = self.person if person is None else person
        sums = None if kept is None else (kept, compact(statistics.sums_by(wide, whose, self.draws.shape[1])))
        if person is None:
            return self.replicates_of(replicates, (float(wide.min()), float(wide.max())), sums)
        if sums is not None:
            self.sums[sums[0]] = sums[1]
        return replicates(person, self.draws)

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
        replicates = self.mean_replicates(value, kept=self._if_objective(name)) if wanted else None
        if replicates is not None and self.second is not None:
            interval = statistics.united(interval, self.interval(replicates))
        self.put(name, float(value.mean()), interval, replicates)

    def largest(
        self, name: str, values: Mapping[str, Tensor], person: Tensor | None = None, *, keep: bool = False
    ) -> Tensor:
        """Put the largest of several rates, given by (N,) values; returns (R,) replicates.

        `person`, (N,) int64, says whose they are where they are not the probes'; `keep` whether the sums of each rate
        are kept by person.

        The interval is that of the replicates of the maximum, widened to the adjusted Wilson interval of the largest
        rate: a plain bootstrap has no width where every picture, or none, counts.
        """
        top = max(values, key=lambda rate: float(values[rate].mean()))
        found = [self.mean_replicates(value, person, rate if keep else None) for rate, value in values.items()]
        replicates = torch.stack(found).amax(0)
        interval = statistics.united(self.interval(replicates), self.wilson(values[top], person))
        self.put(name, float(values[top].mean()), interval, replicates)
        return replicates

    def mean(self, name: str, value: Tensor) -> None:
        """Put a mean of (N,) values with its bootstrap interval."""
        value = value.double().cpu()
        replicates = self.mean_replicates(value, kept=self._if_objective(name))
        self.put(name, float(value.mean()), self.interval(replicates), replicates)

    def _if_objective(self, name: str) -> str | None:
        """Return the name of an objective, by which it is kept by person."""
        return name if name in self.objectives else None

    def confusion(self, reference: Tensor, answer: Tensor, classes: int, known: Tensor | None = None) -> Tensor:
        """Return (P, C, C) counts per person of two answers, given on the pictures that are `known`, (N,) bool."""
        person = self.person if known is None else self.person[known.cpu()]
        people = self.draws.shape[1]
        return expression.confusion_by_person(reference.cpu(), answer.cpu(), person, people, classes)

    def kappa(self, name: str, reference: Tensor, answer: Tensor, classes: int) -> None:
        """Put Cohen's kappa of two (N,) answers with its interval."""
        found = self.agreed(reference, answer, classes, self._if_objective(name))
        self.put(name, found.value, found.interval, found.draws)

    def agreed(self, reference: Tensor, answer: Tensor, classes: int, kept: str | None = None) -> Measured:
        """Compute Cohen's kappa of two (N,) answers; `kept` is the name by which the second is kept.

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
        answers = None if kept is None else (kept, answer.numpy().astype(np.uint8))
        value, draws = float(expression.kappa(counts)), self.replicates_of(replicates, (None, 1.0), answers)
        interval = self.interval(draws)
        if value > NEAR:
            low, high = ((end - chance) / (1 - chance) for end in self.wilson(right))
            interval = statistics.united(interval, (low, high))
        return Measured(value, draws, interval, right, chance)

    def explained(self, error: Tensor, square: Tensor, kept: str | None = None) -> Measured:
        """Compute the share of coefficients' variance that a reader explains.

        Args:
            error: (N,) float64, squared errors of what he says.
            square: (N,) float64, squares of what is right; not all 0.
            kept: name by which the sums of errors are kept by person.
        """
        unit = square.sum() / self.draws.shape[1]

        def wrong(index: Tensor, units: int) -> NDArray[Any]:
            return halved(statistics.sums_by(error, index, units) / unit)  # as they can be kept

        def replicates(index: Tensor, draws: Tensor) -> Tensor:
            units = draws.shape[1]
            whole = statistics.sums_by(square, index, units) / unit
            return 1 - (draws @ torch.from_numpy(wrong(index, units)).double()) / (draws @ whole)

        sums = None if kept is None else (kept, wrong(self.person, self.draws.shape[1]))
        draws = self.replicates_of(replicates, (None, 1.0), sums)
        return Measured(float(1 - error.sum() / square.sum()), draws, self.interval(draws))
