"""Classes of expressions: sets of labels and teachers' classes meet by name, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CANONICAL = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The basic expressions with contempt, as AffectNet and FER+ have them."""

ALIASES: dict[str, str] = {
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
"""Other names of the same expressions."""


@dataclass(frozen=True)
class Counterparts:
    """Say which class of a teacher each label is.

    Attributes:
        index: for every label the position of its class among the teacher's, -1 where it has none.
        without: labels that no class of the teacher stands for.
        unused: classes of the teacher that no label stands for.
    """

    index: tuple[int, ...]
    without: tuple[str, ...]
    unused: tuple[str, ...]


def canonical(name: str) -> str:
    """Return the one name of an expression; a name that is not known stays, in small letters."""
    name = name.strip().lower()
    return ALIASES.get(name, name)


def counterparts(labels: Sequence[str], classes: Sequence[str]) -> Counterparts:
    """Map a set of labels onto a teacher's classes by name.

    Args:
        labels: names of L labels, in their order.
        classes: names of a teacher's C classes, in the order of its output.

    Raises:
        ValueError: if two names of one set are the same expression.
    """
    for whose, names in (("labels", labels), ("teacher", classes)):
        if len({canonical(name) for name in names}) < len(names):
            raise ValueError(f"{whose}: expected every expression once, got {', '.join(names)}; merge them first")
    position = {canonical(name): i for i, name in enumerate(classes)}
    index = tuple(position.get(canonical(name), -1) for name in labels)
    return Counterparts(
        index,
        tuple(name for name, at in zip(labels, index, strict=True) if at < 0),
        tuple(name for i, name in enumerate(classes) if i not in index),
    )
