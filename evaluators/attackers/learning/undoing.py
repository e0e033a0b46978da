"""Undoing: the map from released to clear pictures that needs no network, by the method's own word or by a ridge."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import Anonymizer
from evaluators.attackers.learning import inverse, ridge

SIDE = 56
"""Side in px of what the ridge sees and gives: a face of 28 px is still recognized."""
FACES = 1_200
"""Of other people, at most."""
ASKED = 200
"""Faces on which it is found out whether the ridge helps."""

Undo = Callable[[Tensor], Tensor]
"""Map (N, 3, S, S) uint8 released pictures to uint8 estimates of the clear ones, of side S or 56 px."""


def undo_of(
    anonymizer: Anonymizer,
    clear: Tensor,
    released: Tensor,
    scale: float,
    *,
    prior: inverse.Prior,
    clear_embedding: Tensor,
    released_embedding: Callable[[], Tensor],
    embed: Callable[[Tensor], Tensor],
) -> Undo | None:
    """Fit the map on faces of other people.

    Args:
        anonymizer: who knows what it mixes, or does not.
        clear: (A, 3, S, S) uint8.
        released: (A, 3, S, S) uint8, the same faces anonymized.
        scale: px of the picture in one px of the 112 px crop.
        prior: how clear faces vary.
        clear_embedding: (A, D) float32, unit norm.
        released_embedding: gives that of the released faces.
        embed: the embedder.

    Returns:
        The map; None where the released pictures name their faces as well as the ridge's do.
    """
    linear = anonymizer.linear(clear.shape[-1], scale)
    if linear is not None:
        return inverse.fit(linear.to(clear.device), prior, clear, released)
    if len(clear) < 2:
        return None
    some = torch.linspace(0, len(clear) - 1, min(FACES, len(clear)), device=clear.device).long()
    fitted, unseen = ridge.fit(_small(released[some]).flatten(1), _small(clear[some]).flatten(1).float() / 255)
    asked = torch.linspace(0, len(some) - 1, min(ASKED, len(some)), device=clear.device).long()
    undone = embed(_pictures(unseen[asked]))
    known = clear_embedding[some]
    if named(undone, known, asked) <= named(released_embedding()[some[asked]], known, asked):
        return None
    return lambda pictures: _pictures(fitted(_small(pictures).flatten(1)))


def named(embedding: Tensor, clear: Tensor, place: Tensor) -> float:
    """Return the share of (N, D) faces that are nearest to their own clear one, at `place` among (A, D)."""
    return float(((embedding @ clear.T).argmax(1) == place).double().mean())


def _small(images: Tensor) -> Tensor:
    """Bring (N, 3, S, S) uint8 to (N, 3, 56, 56) uint8."""
    small = functional.interpolate(images.float(), size=(SIDE, SIDE), mode="area")
    return small.round_().clamp_(0, 255).to(torch.uint8)


def _pictures(values: Tensor) -> Tensor:
    """Bring (N, 3 · 56 · 56) values in [0, 1] to (N, 3, 56, 56) uint8."""
    return (values.view(-1, 3, SIDE, SIDE) * 255).round_().clamp_(0, 255).to(torch.uint8)
