"""Near-duplicates: the same photograph twice, perhaps saved anew, resized or cropped elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

DISTANCE = 2
"""Of the 64 bits of two difference hashes, at most so many may differ."""
LEVELS = 6.0
"""Root mean square difference of the two faces, 32 x 32 px gray, in gray levels, up to which they are one photo."""


def difference_hash(images: Tensor) -> NDArray[np.uint64]:
    """Hash pictures by whether brightness rises from left to right (8 x 8 places).

    Source: Krawetz, Kind of Like That, 2013, https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html

    Args:
        images: (N, 3, S, S) uint8.

    Returns:
        (N,) uint64.
    """
    small = _gray(images, 8, 9)
    bits = (small[:, :, 1:] > small[:, :, :-1]).flatten(1).numpy()
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def near_duplicates(images: Tensor, side: Tensor) -> dict[int, int]:
    """Find pictures that have a near-duplicate on another side that matters more.

    Aligned faces resemble each other enough for two people's hashes to meet by chance, so that a hash is only a hint,
    and the faces themselves decide.

    Args:
        images: (N, 3, S, S) uint8 aligned faces.
        side: (N,) int64; of two near-duplicates on different sides the one on the lower side is named.

    Returns:
        index of a picture to drop -> index of the picture, on a higher side, that it repeats.
    """
    hashes = difference_hash(images)
    small = _gray(images, 32, 32).flatten(1)
    found: dict[int, int] = {}
    for i in range(len(images)):
        near = np.bitwise_count(hashes ^ hashes[i]) <= DISTANCE
        near &= (side > side[i]).numpy()
        for j in np.flatnonzero(near):
            if float((small[i] - small[j]).square().mean().sqrt()) <= LEVELS:
                found[i] = int(j)
                break
    return found


def _gray(images: Tensor, height: int, width: int) -> Tensor:
    """Return (N, height, width) float32 mean of the channels, shrunk with antialiasing."""
    parts = [
        functional.interpolate(
            part.float().mean(1, keepdim=True), size=(height, width), mode="bilinear", antialias=True
        )
        for part in images.cpu().split(512)
    ]
    return torch.cat(parts)[:, 0] if parts else torch.empty((0, height, width))
