"""Tally: the values, intervals and replicates of one configuration while they are collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.metrics import expression, statistics


class Tally:
    """Collect values, intervals and replicates of one configuration."""

    def __init__(self, person: Tensor, draws: Tensor, objectives: Sequence[str]) -> None:
        self.person = person
        self.draws = draws
        self.objectives = objectives
        self.values: dict[str, float | None] = {}
        self.intervals: dict[str, tuple[float, float]] = {}
        self.replicates: dict[str, NDArray[np.float32]] = {}

    def put(
        self, name: str, value: float, interval: tuple[float, float] | None = None, replicates: Tensor | None = None
    ) -> None:
        """Put a value, with its interval and (R,) replicates where it has them; replicates of objectives are kept."""
        self.values[name] = value
        if interval is not None:
            self.intervals[name] = interval
        if replicates is not None and name in self.objectives:
            self.replicates[name] = replicates.numpy().astype(np.float32)

    def mean_replicates(self, value: Tensor, person: Tensor | None = None) -> Tensor:
        """Return the (R,) means of (N,) values over the drawn people; `person` where they are not the probes'."""
        return statistics.mean_replicates(value.double(), self.person if person is None else person, self.draws)

    def interval(self, replicates: Tensor) -> tuple[float, float]:
        """Return the bootstrap interval of (R,) replicates over these people."""
        return statistics.percentile_interval(replicates, self.draws.shape[1])

    def rate(self, name: str, value: Tensor) -> None:
        """Put a mean of (N,) values in [0, 1] with its adjusted Wilson interval."""
        interval = statistics.wilson_interval(value, self.person)
        self.put(name, float(value.mean()), interval, self.mean_replicates(value) if name in self.objectives else None)

    def largest(self, name: str, values: Mapping[str, Tensor], person: Tensor | None = None) -> Tensor:
        """Put the largest of several rates, given by (N,) values; returns (R,) replicates.

        `person`, (N,) int64, says whose they are where they are not the probes'.

        The interval is that of the replicates of the maximum, widened to the adjusted Wilson interval of the largest
        rate: a plain bootstrap has no width where every picture, or none, counts.
        """
        top = max(values, key=lambda rate: float(values[rate].mean()))
        replicates = torch.stack([self.mean_replicates(value, person) for value in values.values()]).amax(0)
        low, high = self.interval(replicates)
        wilson = statistics.wilson_interval(values[top], self.person if person is None else person)
        self.put(name, float(values[top].mean()), (min(low, wilson[0]), max(high, wilson[1])), replicates)
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
        """Put Cohen's kappa of two (N,) answers with its bootstrap interval."""
        confusion = self.confusion(reference, answer, classes)
        replicates = expression.kappa_replicates(confusion, self.draws)
        self.put(name, float(expression.kappa(confusion.sum(0))), self.interval(replicates), replicates)
