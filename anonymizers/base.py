"""Anonymizer: a frozen dataclass of hyperparameters that maps faces to faces."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from anonymizers.faces import Faces
from anonymizers.linear import Linear
from anonymizers.ranges import Range
from anonymizers.signals import with_signals


@dataclass(frozen=True)
class Context:
    """Say what an anonymizer may use besides the faces and its hyperparameters.

    Attributes:
        seed: secret of the one who anonymizes; the attacker has another. Randomness derives from it and from the
            key of each face, never from the position in a batch.
        batch_size: how many pictures are worked on at a time; the result does not depend on it.
        background: people who serve only to build anonymizers, where a method needs them.
        models: folder of networks, where a method's `weights` lie; None where there is none.
        embed: map (N, 3, S, S) float pictures in [0, 255] to (N, D) float32 of unit norm, with gradients, for methods
            with `needs_embedder`; None where nobody gave one.
        embedder: name of that network.
    """

    seed: int = 0
    batch_size: int = 128
    background: Faces | None = None
    models: Path | None = None
    embed: Callable[[Tensor], Tensor] | None = None
    embedder: str = ""


@dataclass(frozen=True)
class Anonymizer(ABC):
    """Map faces to faces; the fields are the hyperparameters, and `repr` names the configuration.

    A method is one subclass in one file: a frozen dataclass whose fields are declared with `ranged`, a `method`
    name and `anonymize`. It is a method of the program once it stands in `ANONYMIZERS`.

    Attributes:
        needs: names in `Faces.signals` that the method can draw from, and `needed` which a configuration does. A face
            that lacks one (NaN in it; in a map of uint8 classes, 255 throughout) is released black, never conditioned
            on zeros.
        background_needs: names in the signals of `Context.background` that it draws from.
        weights: file of its network within a folder of models; empty where there is none.
        weights_from: how to get that file, a clause for the sentence that says it is missing.
        needs_embedder: whether it asks `Context.embed`.
        of_sets: whether what becomes of a face depends on the others that are released with it.

    Raises:
        ValueError: on construction, if a hyperparameter is outside its range.
    """

    method: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    background_needs: ClassVar[tuple[str, ...]] = ()
    weights: ClassVar[str] = ""
    weights_from: ClassVar[str] = ""
    needs_embedder: ClassVar[bool] = False
    of_sets: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, over in self.ranges().items():
            value = getattr(self, name)
            if not over.holds(value):
                raise ValueError(f"{self.method}.{name}: expected one of {over}, got {value!r}")

    @classmethod
    def ranges(cls) -> dict[str, Range]:
        """Return the range of each hyperparameter, in the order of the fields."""
        return {f.name: f.metadata["range"] for f in dataclasses.fields(cls)}

    def needed(self) -> tuple[str, ...]:
        """Return the signals that this configuration draws from."""
        return self.needs

    def network(self, models: Path | None) -> Path | None:
        """Return the file of the method's network; None where it has none.

        Args:
            models: folder of networks; None where there is none.

        Raises:
            ValueError: if the file is missing; the sentence names it and says how to get it.
        """
        return self.weights_file(models) if self.weights else None

    def weights_file(self, models: Path | None) -> Path:
        """Return the file of a network that the method has, see `network`."""
        path = Path("<models>" if models is None else models) / self.weights
        if models is None or not path.is_file():
            given = "no folder of models was given" if models is None else "which is missing"
            raise ValueError(f"{self.method}: expected its network in {path}, {given}; {self.weights_from}")
        return path

    def linear(self, size: int, scale: float) -> Linear | None:
        """Return what the method mixes linearly, which an attacker can then undo without learning; None if nothing.

        Args:
            size: side of the pictures, px.
            scale: px of the picture in one px of the 112 px crop.
        """
        return None

    def shared(self, released: Tensor) -> Tensor | None:
        """Say which released pictures are one picture that several people get: a unit beside people in intervals.

        Args:
            released: (N, 3, H, W) uint8, what the method made of N faces.

        Returns:
            (N,) int64 on the CPU, equal where it is the same one; None where every face gets one of its own.
        """
        return None

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
        released = self._released(faces, context)
        if released.shape != faces.images.shape or released.dtype != faces.images.dtype:
            raise ValueError(
                f"{self!r}: expected to return {tuple(faces.images.shape)} {faces.images.dtype}, "
                f"got {tuple(released.shape)} {released.dtype}; mend its anonymize()"
            )
        return released

    def _released(self, faces: Faces, context: Context) -> Tensor:
        """Anonymize the faces that have every signal the method needs; the others become black."""
        if not self.needed():
            return self.anonymize(faces, context)
        seen = with_signals(faces, self.needed(), self.method)
        if seen.all():
            return self.anonymize(faces, context)
        out = torch.zeros_like(faces.images)
        if seen.any():
            index = torch.nonzero(seen)[:, 0]
            out[index.to(out.device)] = self.anonymize(faces.take(index), context)
        return out

    @abstractmethod
    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Do the work of `__call__`, which see."""


def batches(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover range(n), each of at most `size`."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def padded(x: Tensor, size: int) -> Tensor:
    """Repeat the last of (N, ...) rows until there are `size`: what a network rounds depends on the shape it gets."""
    return torch.cat([x, x[-1:].expand(max(0, size - len(x)), *x.shape[1:])])


def of_face(key: str, seed: int, purpose: str) -> torch.Generator:
    """Return the generator of one face for one purpose, on the CPU."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{key}".encode(errors="surrogateescape")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
