"""Faces: the pictures that everything here is about, with what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

TEMPLATE_SIZE = 112
"""Side of the ArcFace crop in px; every hyperparameter given in px means px of a crop of this size."""

UNLABELLED = -1


def person_of(key: str) -> str:
    """Return the person whom a picture's key names: what stands before its first slash, or all of it."""
    return key.partition("/")[0]


def named(person: str, key: str) -> str:
    """Return the key of a picture that names its person, whatever folder or file the picture lies in.

    Args:
        person: in the source's own terms; a slash in it is spelled out.
        key: unique in the source; it stays as it is where it names the person already.
    """
    person = person.replace("/", "%2F")
    return key if person_of(key) == person else f"{person}/{key}"


@dataclass(frozen=True, eq=False)
class Faces:
    """Hold N aligned faces.

    Attributes:
        images: (N, 3, H, W) uint8, RGB in [0, 255], aligned to the ArcFace 112 px template scaled to H = W.
        identity: (N,) int64, a number per person.
        expression: (N,) int64, index into the teacher's classes; -1 where unlabelled.
        key: N strings that name the pictures, unique; what stands before the first slash names the person.
        signals: what conditions a generative method, by name: (N, ...) each, measured once on the clear pictures; a
            face without a signal has NaN in it, never zeros. Empty where no method asks for any.

    Raises:
        ValueError: if a shape or dtype differs, or if keys repeat.
    """

    images: Tensor
    identity: Tensor
    expression: Tensor
    key: tuple[str, ...]
    signals: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.images.shape[0]
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(
                f"Faces.images: expected (N, 3, H, W) uint8, got {tuple(self.images.shape)} {self.images.dtype}"
            )
        if self.images.shape[2] != self.images.shape[3]:
            raise ValueError(f"Faces.images: expected square crops, got {tuple(self.images.shape[2:])}")
        for name in ("identity", "expression"):
            value: Tensor = getattr(self, name)
            if value.shape != (n,) or value.dtype != torch.int64:
                raise ValueError(f"Faces.{name}: expected ({n},) int64, got {tuple(value.shape)} {value.dtype}")
        if len(self.key) != n or len(set(self.key)) != n:
            raise ValueError(
                f"Faces.key: expected {n} different strings, got {len(self.key)}, {len(set(self.key))} different"
            )
        for name, signal in self.signals.items():
            if signal.shape[:1] != (n,):
                raise ValueError(f"Faces.signals[{name!r}]: expected ({n}, ...), got {tuple(signal.shape)}")

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def size(self) -> int:
        """Return the side of the crops in px."""
        return self.images.shape[3]

    @property
    def people(self) -> int:
        """Return the number of different people."""
        return int(self.identity.unique().numel())

    @property
    def scale(self) -> float:
        """Return how many px of these crops one px of the 112 px template is."""
        return self.size / TEMPLATE_SIZE

    def take(self, index: Tensor | Sequence[int]) -> Faces:
        """Select faces.

        Args:
            index: (M,) int64 positions, in the wanted order.
        """
        index = torch.as_tensor(index, dtype=torch.int64)
        return Faces(
            self.images[index.to(self.images.device)],
            self.identity[index.to(self.identity.device)],
            self.expression[index.to(self.expression.device)],
            tuple(self.key[int(i)] for i in index),
            {name: signal[index.to(signal.device)] for name, signal in self.signals.items()},
        )

    def to(self, device: torch.device | str) -> Faces:
        """Move the pictures and labels to a device."""
        return replace(
            self,
            images=self.images.to(device),
            identity=self.identity.to(device),
            expression=self.expression.to(device),
            signals={name: signal.to(device) for name, signal in self.signals.items()},
        )
