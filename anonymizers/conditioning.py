"""Conditioning: what a generator is told of a face, drawn as it wants it.

Signals are measured once on the clear pictures and lie in `Faces.signals`, in px of the 112 px crop:

    landmarks68   (N, 68, 2) float32, (x, y) in iBUG's order
    landmarks478  (N, 478, 2) float32, (x, y) of MediaPipe's face mesh
    parsing       (N, S, S) uint8, index into PARSING
    expression    (N, 1) uint8, index into EXPRESSIONS: what a network of the zoo reads

A face of which a signal could not be measured has NaN in it, or 255 throughout, and is released black.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.faces import TEMPLATE_SIZE, Faces

PARSING: tuple[str, ...] = ("background", "skin", "brow", "eye", "nose", "mouth", "hair", "ear", "cloth")
"""Names of the parts in a parsing map; "skin" has the neck, "mouth" lips and all between them."""

EXPRESSIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Names of the expressions that a generator can be told: one of seven says 2.8 bits of a picture at most."""

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
MIRRORED68 = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip
"""Which landmark of iBUG a landmark becomes in the mirror."""
MESH68 = (
    127, 234, 93, 132, 58, 172, 136, 150, 152, 379, 365, 397, 288, 361, 323, 454, 356, 70, 63, 105, 66, 107, 336, 296,
    334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61,
    39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Vertices of MediaPipe's face mesh that lie where iBUG's landmarks do, nearly."""


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


def five(points: Tensor) -> Tensor:
    """Return the (N, 5, 2) eye centers, nose tip and mouth corners of (N, 68, 2) landmarks."""
    eyes = [points[:, first : first + 6].mean(1) for first in (36, 42)]
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], 1)


def mirrored(faces: Faces) -> Faces:
    """Mirror pictures and signals, left to right.

    Raises:
        ValueError: if there is a signal whose mirror image is not known.
    """
    signals = {}
    for name, signal in faces.signals.items():
        if name == "parsing":
            signals[name] = signal.flip(2)
        elif name == "landmarks68":
            signals[name] = _across(signal[:, list(MIRRORED68)])
        elif name == "expression":  # a face in the mirror smiles as much
            signals[name] = signal
        elif name == "landmarks478":  # drawn as dots alone, whose order does not matter
            signals[name] = _across(signal)
        else:
            raise ValueError(
                f"signal {name}: expected one of landmarks68, landmarks478, parsing, expression, whose mirror is known"
            )
    return replace(faces, images=faces.images.flip(3), signals=signals)


def _across(points: Tensor) -> Tensor:
    return torch.stack((TEMPLATE_SIZE - points[..., 0], points[..., 1]), -1)
