"""Sight: what a reader sees of one configuration, and what he is to give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from evaluators.readers.shown import Learned


@dataclass(frozen=True, eq=False)
class Sight:
    """Hold features of released pictures, undone where that lets readers see more, and what judges say of clear faces.

    Attributes:
        probe: (N, F) float32, features of the released probes: those of every resident teacher and of the embedder,
            and what continuous judges read of them, with whether they found a face.
        attacker: (A, F) float32, of the attacker people's faces, anonymized by the reader himself.
        attacker_person: (A,) int64, whose faces they are.
        blocks: widths of the networks' shares of F.
        targets: judge -> what he says of the attacker people's clear faces: (A,) int64 classes, or (A, D) float32
            standardized coefficients.
        shown: what the shown reader learned, once.
    """

    probe: Tensor
    attacker: Tensor
    attacker_person: Tensor
    blocks: Sequence[int]
    targets: Mapping[str, Tensor]
    shown: Learned
