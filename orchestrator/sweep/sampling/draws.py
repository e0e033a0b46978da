"""Draws: parameters of a configuration that no sampler chose, drawn evenly, or known already."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy.stats import qmc


class Drawn:
    """Suggest values that numbers in [0, 1) stand for, as a trial of Optuna's would suggest others."""

    def __init__(self, number: Callable[[], float]) -> None:
        """Take a function that gives the next number."""
        self._number = number

    @classmethod
    def by_chance(cls, seed: str) -> Drawn:
        """Draw all values evenly and independently."""
        return cls(random.Random(seed).random)

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        """Choose one of several values."""
        return choices[self._of(len(choices))]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number, ends included."""
        share = self._number()
        if log:
            return min(high, max(low, math.exp(math.log(low) + share * (math.log(high) - math.log(low)))))
        return low + share * (high - low)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Choose an integer, ends included."""
        if log:
            ends = math.log(low - 0.5), math.log(high + 0.5)
            return min(high, max(low, round(math.exp(ends[0] + self._number() * (ends[1] - ends[0])))))
        return low + step * self._of((high - low) // step + 1)

    def _of(self, count: int) -> int:
        return min(count - 1, int(self._number() * count))


class EvenPoints:
    """Give points that fill a unit cube evenly, however many are taken: Sobol's sequence, scrambled.

    Owen, Scrambling Sobol' and Niederreiter-Xing Points, 1998, by scipy. Drawn through such a point, the method takes
    the first coordinate, and every method its fields from the others: the points of each method are even as well.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        """Prepare the sequence of a seed."""
        self._sequence = qmc.Sobol(dimensions, scramble=True, rng=seed)

    def at(self, place: int) -> list[float]:
        """Return the point at a place of the sequence, in [0, 1)."""
        if place < self._sequence.num_generated:
            self._sequence.reset()
        if ahead := place - self._sequence.num_generated:
            self._sequence.fast_forward(ahead)
        point: list[float] = self._sequence.random(1)[0].tolist()
        return point


class Known:
    """Suggest the parameters that are known already, and refuse those that a space does not have."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take parameters by their names, as a trial of Optuna's keeps them."""
        self._parameters = parameters

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        """Return the value.

        Raises:
            ValueError: if there is none, or it is none of the choices.
        """
        return self._checked(name, lambda value: value in choices)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return the value.

        Raises:
            ValueError: if there is none, or it is out of range.
        """
        return float(self._checked(name, lambda value: low <= value <= high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return the value.

        Raises:
            ValueError: if there is none, or it is out of range or off the steps.
        """
        return int(self._checked(name, lambda value: low <= value <= high and (log or (value - low) % step == 0)))

    def _checked(self, name: str, holds: Callable[[Any], bool]) -> Any:
        value = self._parameters.get(name)
        if value is None or not holds(value):
            raise ValueError(f"expected a value of {name} in the space, got {value!r}")
        return value
