"""Ranges: which values a hyperparameter may take, and the field that carries them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Integer:
    """Range of an integer hyperparameter, both ends included; `step` apart, counted from `low`."""

    low: int
    high: int
    step: int = 1
    unit: str = ""
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Tell whether a value lies in the range and on its steps."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    def corners(self) -> tuple[int, ...]:
        """Return the smallest and the largest value."""
        return (self.low, self.high)

    def place(self, value: Any) -> tuple[float, ...]:
        """Return where a value lies between the ends, in [0, 1]."""
        return _between(self.low, self.high, value, log=self.log)


@dataclass(frozen=True)
class Real:
    """Range of a real hyperparameter, both ends included."""

    low: float
    high: float
    unit: str = ""
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Tell whether a value is a number in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def corners(self) -> tuple[float, ...]:
        """Return the smallest and the largest value."""
        return (self.low, self.high)

    def place(self, value: Any) -> tuple[float, ...]:
        """Return where a value lies between the ends, in [0, 1]."""
        return _between(self.low, self.high, value, log=self.log)


@dataclass(frozen=True)
class Choice:
    """Set of named values of a hyperparameter."""

    values: tuple[str, ...]
    unit: str = ""

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of the set."""
        return value in self.values

    def corners(self) -> tuple[str, ...]:
        """Return every value."""
        return self.values

    def place(self, value: Any) -> tuple[float, ...]:
        """Return 1 for the value and 0 for each other, in their order."""
        return tuple(float(one == value) for one in self.values)


Range = Integer | Real | Choice


def _between(low: float, high: float, value: float, *, log: bool) -> tuple[float, ...]:
    if high == low:
        return (0.0,)
    if log:
        return (math.log(value / low) / math.log(high / low),)
    return ((value - low) / (high - low),)


def ranged(over: Range, **keywords: Any) -> Any:
    """Declare a hyperparameter: a dataclass field that carries its range."""
    return field(metadata={"range": over}, **keywords)
