"""Conditioning: what a generator is told of a face, drawn as it wants it."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.faces import TEMPLATE_SIZE, Faces
from anonymizers.generative.nets.noisy_unet import INPUT
from anonymizers.signals import EXPRESSIONS, PARSING

CONDITIONINGS: dict[str, tuple[str, ...]] = {
    "none": (),
    "landmarks": ("landmarks68",),
    "parsing": ("parsing",),
    "both": ("landmarks68", "parsing"),
    "expression": ("expression",),
    "landmarks+expression": ("landmarks68", "expression"),
}
"""What our generator can be conditioned on -> the signals that it needs."""

JAW, RIGHT_BROW, LEFT_BROW = tuple(range(17)), tuple(range(17, 22)), tuple(range(22, 27))
BRIDGE, NOSTRILS = tuple(range(27, 31)), tuple(range(31, 36))
RIGHT_EYE, LEFT_EYE = (*range(36, 42), 36), (*range(42, 48), 42)
OUTER_MOUTH, INNER_MOUTH = (*range(48, 60), 48), (*range(60, 68), 60)
PARTS: tuple[tuple[tuple[int, ...], ...], ...] = (
    (JAW,),
    (RIGHT_BROW, LEFT_BROW),
    (BRIDGE, NOSTRILS),
    (RIGHT_EYE, LEFT_EYE),
    (OUTER_MOUTH, INNER_MOUTH),
)
"""Lines through iBUG's landmarks, by the channel that they are drawn into."""
MAPS: dict[str, int] = {"landmarks68": len(PARTS), "parsing": len(PARSING)}
"""Signals that are drawn as maps -> channels; the expression is told as a word, see `told`."""


def channels(conditioning: str) -> int:
    """Return how many channels `drawn` has."""
    return sum(MAPS.get(name, 0) for name in CONDITIONINGS[conditioning])


def words(conditioning: str) -> int:
    """Return how many numbers `told` has of each face."""
    return len(EXPRESSIONS) if "expression" in CONDITIONINGS[conditioning] else 0


def told(faces: Faces, conditioning: str) -> Tensor:
    """Return what is told in words, (N, 7) float32: 1 for the face's expression, 0 else; (N, 0) where nothing is."""
    if not words(conditioning):
        return faces.images.new_zeros(len(faces), 0, dtype=torch.float32)
    index = faces.signals["expression"][:, 0].to(faces.images.device).long()
    return functional.one_hot(index, len(EXPRESSIONS)).float()


def drawn(faces: Faces, conditioning: str, size: int) -> Tensor:
    """Draw the signals of a conditioning as maps.

    Args:
        faces: N faces that have the signals.
        conditioning: of CONDITIONINGS.
        size: side of the maps, px.

    Returns:
        (N, C, size, size) float32 in [0, 1], C as `channels` says: a channel per part of the face for landmarks, one
        per class for a parsing map.
    """
    maps = []
    for name in CONDITIONINGS[conditioning]:
        if name in MAPS:
            signal = faces.signals[name].to(faces.images.device)
            maps.append(landmark_map(signal, size) if name == "landmarks68" else parsing_map(signal, size))
    return torch.cat(maps, 1) if maps else faces.images.new_zeros(len(faces), 0, size, size, dtype=torch.float32)


def landmark_map(points: Tensor, size: int) -> Tensor:
    """Draw landmarks as soft lines.

    Args:
        points: (N, 68, 2) float32, px of the 112 px crop.
        size: side of the map, px.

    Returns:
        (N, 5, size, size) float32 in [0, 1], the parts of PARTS: 1 on a line, 0 from 1.5 px of the map on.
    """
    scale = size / TEMPLATE_SIZE
    return torch.stack([_lines(points * scale, lines, size) for lines in PARTS], 1)


def dots(points: Tensor, size: int) -> Tensor:
    """Draw landmarks as single pixels.

    Args:
        points: (N, K, 2) float32, px of the 112 px crop; those outside it are left out.
        size: side of the drawing, px.

    Returns:
        (N, 1, size, size) float32, 1 on a dot, 0 elsewhere.
    """
    at = (points * (size / TEMPLATE_SIZE)).floor().long()
    inside = ((at >= 0) & (at < size)).all(2)
    face = torch.arange(len(points), device=points.device)[:, None].expand(inside.shape)
    out = torch.zeros(len(points), 1, size, size, device=points.device)
    out[face[inside], 0, at[..., 1][inside], at[..., 0][inside]] = 1
    return out


def _lines(points: Tensor, lines: tuple[tuple[int, ...], ...], size: int) -> Tensor:
    """Draw (N, size, size) lines, softly."""
    pairs = [pair for line in lines for pair in itertools.pairwise(line)]
    start, end = (points[:, [pair[k] for pair in pairs], :, None, None] for k in (0, 1))
    at = torch.arange(size, device=points.device) + 0.5
    x, y = at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)
    way = end - start
    length = way.square().sum(2).clamp_min(1e-6)
    to_x, to_y = way[:, :, 0], way[:, :, 1]
    from_x, from_y = x - start[:, :, 0], y - start[:, :, 1]
    along = ((from_x * (to_x / length)) + from_y * (to_y / length)).clamp_(0, 1)
    squared = (from_x - along * to_x).square_().add_((from_y - along * to_y).square_())
    return (1.5 - squared.amin(1).sqrt_()).clamp_(0, 1)


def parsing_map(parsing: Tensor, size: int) -> Tensor:
    """Turn a map of classes into shares of them.

    Args:
        parsing: (N, S, S) uint8, index into PARSING.
        size: side of the result, px.

    Returns:
        (N, 9, size, size) float32 in [0, 1] that sums to 1 over the classes.
    """
    shares = functional.one_hot(parsing.long(), len(PARSING)).permute(0, 3, 1, 2).float()
    return functional.interpolate(shares, size=(size, size), mode="area")


def inputs(conditioning: str) -> int:
    """Return the number of channels that `given` has."""
    return 3 + channels(conditioning)


def given(faces: Faces, conditioning: str, context: int) -> Tensor:
    """Draw what the encoder sees.

    Args:
        faces: N faces with the signals of the conditioning.
        conditioning: of CONDITIONINGS.
        context: side of the low-frequency picture, px.

    Returns:
        (N, C, 56, 56) float32 in [0, 1]: RGB of the low-frequency picture, then the maps.
    """
    low = functional.interpolate(faces.images.float() / 255, size=(context, context), mode="area")
    low = functional.interpolate(low, size=(INPUT, INPUT), mode="nearest")
    return torch.cat((low, drawn(faces, conditioning, INPUT)), 1)
