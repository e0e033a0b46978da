"""A small world of rendered faces: people with expressions, so that everything runs without a download.

The faces are plainly artificial: drawn by signed distances, every pixel for itself, from the numbers of a person and a
picture. Each picture brings its landmarks and parsing map, and is aligned to ArcFace's template by its own landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evaluators.demo.geometry import (
    EXPRESSIONS,
    align,
    draw_people,
    draw_pictures,
    five,
    landmarks,
    motions,
    pose,
    to_pixels,
)
from evaluators.demo.render import PARSING, paint

__all__ = ["EXPRESSIONS", "PARSING", "DemoFaces", "people", "render"]

BATCH = 16
"""Faces drawn at once: their planes stay in the cache."""
ORDER_STREAM = 40_009


@dataclass(frozen=True, eq=False)
class DemoFaces:
    """Hold N rendered faces and the truth about them, on the CPU.

    Attributes:
        images: (N, 3, S, S) uint8, RGB in [0, 255].
        identity: (N,) int64, number of the person.
        expression: (N,) int64, index into EXPRESSIONS.
        intensity: (N,) float32 in [0, 1], of the expression; 0 for a neutral face.
        landmarks5: (N, 5, 2) float32, px (x, y) from the picture's top left corner: image-left eye, image-right eye,
            nose tip, image-left and image-right mouth corner.
        landmarks68: (N, 68, 2) float32, px, in iBUG order.
        parsing: (N, S, S) uint8, index into PARSING.
        coefficients: (N, 11) float32, how far the parts have moved, by MOTIONS.
    """

    images: Tensor
    identity: Tensor
    expression: Tensor
    intensity: Tensor
    landmarks5: Tensor
    landmarks68: Tensor
    parsing: Tensor
    coefficients: Tensor


@torch.no_grad()
def render(
    identity: Tensor,
    expression: Tensor,
    picture: Tensor,
    *,
    seed: int = 0,
    size: int = 112,
    intensity: Tensor | None = None,
) -> DemoFaces:
    """Render one picture per row; a row's bits depend on nothing but its own numbers, the seed and the size.

    Args:
        identity: (N,) int64, numbers of people, at least 0; a number is the same person under every seed.
        expression: (N,) int64, index into EXPRESSIONS.
        picture: (N,) int64, numbers of pictures, at least 0; pose, light, background and noise follow from it.
        seed: of the pictures, at least 0.
        size: side of the pictures, px, at least 16.
        intensity: (N,) float in [0, 1], of the expressions; None to draw it from [0, 1].

    Raises:
        ValueError: if shapes differ, a tensor of numbers is no int64, or a number is out of its range.
    """
    _check(identity, expression, picture, seed, size, intensity)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # planes this small gain nothing from threads, and lose much where cores are shared
    try:
        drawn = [
            _batch(
                identity[rows].cpu(),
                expression[rows].cpu(),
                picture[rows].cpu(),
                seed,
                size,
                None if intensity is None else intensity[rows].cpu(),
            )
            for rows in (slice(start, start + BATCH) for start in range(0, len(identity), BATCH))
        ]
    finally:
        torch.set_num_threads(threads)
    return DemoFaces(
        torch.cat([part.images for part in drawn]),
        torch.cat([part.identity for part in drawn]),
        torch.cat([part.expression for part in drawn]),
        torch.cat([part.intensity for part in drawn]),
        torch.cat([part.landmarks5 for part in drawn]),
        torch.cat([part.landmarks68 for part in drawn]),
        torch.cat([part.parsing for part in drawn]),
        torch.cat([part.coefficients for part in drawn]),
    )


def people(first: int, count: int, pictures: int, *, seed: int = 0, size: int = 112) -> DemoFaces:
    """Render `pictures` pictures of each of `count` people, ordered by person, then by picture.

    Expressions are balanced: each person goes through them in an own order, again and again.

    Args:
        first: number of the first person, at least 0; the others follow.
        count: of people, at least 1.
        pictures: of each person, at least 1.
        seed: of the pictures.
        size: side of the pictures, px.

    Raises:
        ValueError: if a number is out of its range.
    """
    if first < 0 or count < 1 or pictures < 1:
        raise ValueError(
            f"people: expected first >= 0, count >= 1 and pictures >= 1, got {first}, {count} and {pictures}"
        )
    if seed < 0:
        raise ValueError(f"people: expected seed >= 0, got {seed}")
    orders = []
    for person in range(first, first + count):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence((ORDER_STREAM, seed, person))))
        orders.append(torch.from_numpy(np.resize(stream.permutation(len(EXPRESSIONS)), pictures).astype(np.int64)))
    identity = torch.arange(first, first + count).repeat_interleave(pictures)
    return render(identity, torch.cat(orders), torch.arange(pictures).repeat(count), seed=seed, size=size)


def _batch(
    identity: Tensor, expression: Tensor, picture: Tensor, seed: int, size: int, intensity: Tensor | None
) -> DemoFaces:
    person = draw_people(identity.tolist())
    shot, grain = draw_pictures(seed, identity.tolist(), picture.tolist(), size)
    strength = shot["intensity"] if intensity is None else intensity.to(torch.float32)
    strength = torch.where(expression == EXPRESSIONS.index("neutral"), 0.0, strength)
    posed = pose(person, shot, expression, strength)
    points = landmarks(posed)
    similarity = align(five(points), posed)
    images, parsing = paint(posed, similarity, grain, size)
    points = to_pixels(points, similarity, size)
    return DemoFaces(images, identity, expression, strength, five(points), points, parsing, motions(posed))


def _check(
    identity: Tensor, expression: Tensor, picture: Tensor, seed: int, size: int, intensity: Tensor | None
) -> None:
    for name, numbers, end in (
        ("identity", identity, None),
        ("expression", expression, len(EXPRESSIONS)),
        ("picture", picture, None),
    ):
        if numbers.ndim != 1 or numbers.shape != identity.shape or len(numbers) == 0:
            raise ValueError(
                f"render: expected {name} of shape (N,), N >= 1, as long as identity, got {tuple(numbers.shape)} and "
                f"{tuple(identity.shape)}"
            )
        if numbers.dtype != torch.int64:
            raise ValueError(f"render: expected {name} as int64, got {numbers.dtype}")
        low, high = int(numbers.min()), int(numbers.max())
        if low < 0 or (end is not None and high >= end):
            limit = "at least 0" if end is None else f"in [0, {end})"
            raise ValueError(f"render: expected {name} {limit}, got values from {low} to {high}")
    if seed < 0 or size < 16:
        raise ValueError(f"render: expected seed >= 0 and size >= 16, got {seed} and {size}")
    if intensity is not None and (
        intensity.shape != identity.shape or not bool(((intensity >= 0) & (intensity <= 1)).all())
    ):
        raise ValueError(f"render: expected intensity of shape {tuple(identity.shape)} in [0, 1], got {intensity}")
