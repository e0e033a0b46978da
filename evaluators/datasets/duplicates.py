"""Near-duplicates: one photograph twice, perhaps under another name, saved anew, brightened or of another size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GRID = 16
"""Side in px to which a face is shrunk before it is compared: noise and compression are averaged away."""
CORRELATION = 0.99
"""From which two faces are one photograph. Of the 10 million pairs of 4,580 aligned faces of LFW the repeated ones
reach 0.996 and more; a person seen twice in one session stays below 0.988, two people below 0.975. Hashes of 64 bits do
not tell them apart: aligned faces are so alike that at a distance of 2 bits nearly all pairs are of two people."""
CHUNK = 1024


def near_duplicates(images: Tensor, side: Tensor) -> dict[int, int]:
    """Find the pictures of which a near-duplicate stands on a side that matters more.

    Args:
        images: (N, 3, S, S) uint8 aligned faces.
        side: (N,) int64, from 0; of two near-duplicates the one on the lower side is named, on one side neither.

    Returns:
        index of a picture to drop -> index of the picture that it repeats, on the highest side.
    """
    faces = fingerprints(images)
    found: dict[int, int] = {}
    for start in range(0, len(faces), CHUNK):
        part = slice(start, start + CHUNK)
        alike = (faces[part] @ faces.T >= CORRELATION) & (side > side[part, None])
        highest, where = torch.where(alike, side, -1).max(1)
        for i in torch.nonzero(highest >= 0)[:, 0].tolist():
            found[start + i] = int(where[i])
    return found


def fingerprints(images: Tensor) -> Tensor:
    """Shrink faces to what tells photographs apart.

    Args:
        images: (N, 3, S, S) uint8 aligned faces.

    Returns:
        (N, GRID²) float32 gray faces of mean 0 and norm 1 (0 for a picture of one color); their products correlate.
    """
    parts = [
        functional.interpolate(part.float().mean(1, keepdim=True), size=(GRID, GRID), mode="bilinear", antialias=True)
        for part in images.cpu().split(CHUNK)
    ]
    flat = torch.cat(parts).flatten(1) if parts else torch.empty((0, GRID * GRID))
    return functional.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def repeats(faces: Tensor, identity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find pictures that occur twice, under one name or two.

    Args:
        faces: (N, GRID²) float32, as `fingerprints` makes them.
        identity: (N,) int64.

    Returns:
        three (N,) int64 of positions, -1 for none: the first near-duplicate that is of another person, the first of the
        earlier ones that is of another person, and the first of the earlier ones that is of the same person.
    """
    n = len(faces)
    twin, other, same = (torch.full((n,), n) for _ in range(3))
    for a in range(0, n, CHUNK):
        rows = slice(a, a + CHUNK)
        for b in range(a, n, CHUNK):  # each pair once; a block at a time, so that the memory stays flat
            i, j = torch.nonzero(faces[rows] @ faces[b : b + CHUNK].T >= CORRELATION, as_tuple=True)
            i, j = i + a, j + b
            i, j = i[i < j], j[i < j]
            apart = identity[i] != identity[j]
            twin.scatter_reduce_(0, i[apart], j[apart], "amin")
            for found, which in ((twin, apart), (other, apart), (same, ~apart)):
                found.scatter_reduce_(0, j[which], i[which], "amin")
    return tuple(torch.where(found < n, found, -1) for found in (twin, other, same))  # type: ignore[return-value]
