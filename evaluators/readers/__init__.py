"""Readers: mirror attackers. A reader gives a judge's description of the clear face, from the anonymized one.

To add a reader: a function in a file of its own, and a row in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from evaluators.readers.adapted import adapted
from evaluators.readers.shown import shown
from evaluators.readers.sight import Sight

READERS: dict[str, Callable[[Sight], Mapping[str, Tensor]]] = {"adapted": adapted, "shown": shown}
"""Name -> function from a `Sight` to what is read of the N probes: judge -> (N, C) scores of classes, or (N, D)
standardized coefficients."""

__all__ = ["READERS", "Sight"]
