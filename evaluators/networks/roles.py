"""The resident networks, by what they are asked: who is it, what does the face express, how different does it look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from anonymizers import Faces


@dataclass(frozen=True, eq=False)
class TeacherOutput:
    """Hold what a teacher says of N faces.

    Attributes:
        logits: (N, C) float32, one per class.
        features: (N, F) float32, what the last layer sees (penultimate features).
    """

    logits: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class Found:
    """Hold what a detector finds in N aligned crops.

    Attributes:
        found: (N,) bool.
        landmarks: (N, 5, 2) float32, (x, y) in px of the crop; 0 where no face was found.
    """

    found: Tensor
    landmarks: Tensor


@runtime_checkable
class Embedder(Protocol):
    """Map faces to identity embeddings."""

    name: str

    def __call__(self, images: Tensor) -> Tensor:
        """Embed faces.

        Args:
            images: (N, 3, S, S) uint8, RGB in [0, 255], aligned.

        Returns:
            (N, D) float32 of unit norm.
        """
        ...


@runtime_checkable
class Differentiable(Protocol):
    """Map faces to identity embeddings, with gradients."""

    name: str
    module: nn.Module

    def embed(self, images: Tensor) -> Tensor:
        """Embed (N, 3, S, S) faces, uint8 or float in [0, 255], as (N, D) float32 of unit norm."""
        ...

    def unfrozen(self) -> Differentiable:
        """Return a copy whose module's weights can be trained."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """Map faces to expressions."""

    name: str
    classes: tuple[str, ...]

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Read the expression of (N, 3, S, S) uint8 RGB aligned faces."""
        ...


@runtime_checkable
class Describer(Protocol):
    """Describe the expression of faces by coefficients, a continuous judge.

    Attributes:
        name: of the judge.
        coefficients: names of the D numbers.
        looks: whether it reads pictures; one that knows the truth of rendered faces does not.
        smile: which coefficient says how much a face smiles.
    """

    name: str
    coefficients: tuple[str, ...]
    smile: str
    looks: bool

    def describe(self, faces: Faces) -> Tensor:
        """Describe N clear faces, (N, D) float32; NaN where it finds none."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Describe (N, 3, S, S) uint8 pictures, (N, D) float32; NaN where it finds no face."""
        ...


@runtime_checkable
class Perceptual(Protocol):
    """Measure a perceptual distance; `name` is its column in METRICS."""

    name: str

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what never changes about the originals, (N, 3, S, S) uint8."""
        ...

    def distance_to(self, features: tuple[Tensor, ...], images: Tensor) -> Tensor:
        """Return the (N,) float32 distances of (N, 3, S, S) uint8 pictures to the originals of these features."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Find faces."""

    name: str

    def __call__(self, images: Tensor) -> Found:
        """Find the face of each of (N, 3, S, S) uint8 RGB aligned crops."""
        ...


@runtime_checkable
class Inception(Protocol):
    """Give the features that FID and KID are defined on."""

    name: str

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) uint8 RGB pictures to (N, 2048) float32 features."""
        ...


@dataclass(frozen=True, eq=False)
class Nets:
    """Hold the networks of a panel.

    `facts` names files, digests and terms, as they go into tables and report; `backends` what serves each, and why;
    `differentiable` is the embedder with gradients, for the attackers that train through it, None where nobody asked;
    `models` is the folder of networks, where generative anonymizers find theirs, `signals` what measures the
    signals that they are conditioned on, by name, `told_by` whose answer the expression among them is;
    `judges` say what a face expresses, and no method may ask them; `second` is another embedder of the attackers who
    classify, None where they have one alone.
    """

    embedder: Embedder
    teacher: Teacher
    perceptual: tuple[Perceptual, ...] = ()
    detector: Detector | None = None
    held_out: Embedder | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    inception: Inception | None = None
    backends: Mapping[str, Any] = field(default_factory=dict)
    differentiable: Differentiable | None = None
    models: Path | None = None
    signals: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    judges: tuple[Teacher | Describer, ...] = ()
    told_by: str = ""
    second: Embedder | None = None

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Return every network that answers with classes, the first teacher first, once each."""
        found = {net.name: net for net in (self.teacher, *self.judges) if isinstance(net, Teacher)}
        return tuple(found.values())

    @property
    def describers(self) -> tuple[Describer, ...]:
        """Return every continuous judge."""
        return tuple(net for net in self.judges if isinstance(net, Describer))
