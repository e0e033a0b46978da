"""Anonymizer: a frozen dataclass of hyperparameters that maps faces to faces."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from anonymizers.faces import Faces


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


Range = Integer | Real | Choice


def ranged(over: Range, **keywords: Any) -> Any:
    """Declare a hyperparameter: a dataclass field that carries its range."""
    return field(metadata={"range": over}, **keywords)


@dataclass(frozen=True)
class Context:
    """Say what an anonymizer may use besides the faces and its hyperparameters.

    Attributes:
        seed: secret of the one who anonymizes; the attacker has another. Randomness derives from it and from the
            key of each face, never from the position in a batch.
        batch_size: how many pictures are worked on at a time; the result does not depend on it.
        background: people who serve only to build anonymizers, where a method needs them.
    """

    seed: int = 0
    batch_size: int = 128
    background: Faces | None = None


@dataclass(frozen=True)
class Anonymizer(ABC):
    """Map faces to faces; the fields are the hyperparameters, and `repr` names the configuration.

    A method is one subclass in one file: a frozen dataclass whose fields are declared with `ranged`, a `method`
    name and `anonymize`. It is a method of the program once it stands in `ANONYMIZERS`.

    Raises:
        ValueError: on construction, if a hyperparameter is outside its range.
    """

    method: ClassVar[str]

    def __post_init__(self) -> None:
        for name, over in self.ranges().items():
            value = getattr(self, name)
            if not over.holds(value):
                raise ValueError(f"{self.method}.{name}: expected one of {over}, got {value!r}")

    @classmethod
    def ranges(cls) -> dict[str, Range]:
        """Return the range of each hyperparameter, in the order of the fields."""
        return {f.name: f.metadata["range"] for f in dataclasses.fields(cls)}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the value of each hyperparameter, in the order of the fields."""
        return {name: getattr(self, name) for name in self.ranges()}

    def __call__(self, faces: Faces, context: Context) -> Tensor:
        """Anonymize faces.

        Args:
            faces: N faces on any device; they are not written to. Methods that average people need all faces that
                are released together in one call.
            context: seed, batch size and background people.

        Returns:
            (N, 3, H, W) uint8, RGB in [0, 255], on the device of the faces, in memory of its own.

        Raises:
            ValueError: if the method cannot work on these faces; the message says why.
        """
        released = self.anonymize(faces, context)
        if released.shape != faces.images.shape or released.dtype != faces.images.dtype:
            raise ValueError(
                f"{self!r}: expected to return {tuple(faces.images.shape)} {faces.images.dtype}, "
                f"got {tuple(released.shape)} {released.dtype}; mend its anonymize()"
            )
        return released

    @abstractmethod
    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Do the work of `__call__`, which see."""


def batches(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover range(n), each of at most `size`."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
