"""Warping: pictures moved from one set of landmarks to another, each triangle between them by an affine map of its own.

Points are (x, y) in px of the 112 px crop from its top left corner: the middle of its first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor
from torch.nn import functional

from anonymizers.faces import TEMPLATE_SIZE

FRAME_POINTS = 8
"""On each side of the crop: they stay where they are, so that what is around a face follows it smoothly."""
ROUNDING = 1e-4
"""By which a barycentric coordinate may fall below 0 inside a triangle."""


@dataclass(frozen=True, eq=False)
class Located:
    """Say in which triangle each pixel of N pictures of S px lies, and where in it.

    Attributes:
        vertices: (N, S, S, 3) int64, the triangle's points.
        weights: (N, S, S, 3) float32, barycentric coordinates, which sum to 1.
    """

    vertices: Tensor
    weights: Tensor

    def expand(self, n: int) -> Located:
        """Return the same for n pictures, of one."""
        return Located(self.vertices.expand(n, -1, -1, -1), self.weights.expand(n, -1, -1, -1))


def with_frame(landmarks: Tensor) -> Tensor:
    """Return (N, V + 32, 2) points of (N, V, 2) landmarks, the points of the crop's frame added."""
    along = torch.linspace(0, TEMPLATE_SIZE, FRAME_POINTS + 1, device=landmarks.device)[:-1]
    end, start = torch.full_like(along, TEMPLATE_SIZE), torch.zeros_like(along)
    sides = ((along, start), (end, along), (end - along, end), (start, end - along))
    frame = torch.cat([torch.stack(side, 1) for side in sides])
    return torch.cat([landmarks, frame.expand(len(landmarks), -1, -1)], 1)


def triangles_of(points: Tensor) -> Tensor:
    """Return the (T, 3) int64 triangles between (V, 2) points, Delaunay's, on their device."""
    found = Delaunay(points.double().cpu().numpy()).simplices
    return torch.from_numpy(found.astype(np.int64)).to(points.device)


def locate(points: Tensor, triangles: Tensor, size: int) -> Located:
    """Find the triangle of every pixel; where triangles fold over each other, that in which it lies deepest.

    Each triangle looks at the pixels of its own bounding box alone, for all pictures at once.

    Args:
        points: (N, V, 2) float32, which cover the crop.
        triangles: (T, 3) int64.
        size: side S of the pictures, px.
    """
    scale = size / TEMPLATE_SIZE
    a, b, c = (points[:, triangles] * scale).unbind(2)  # (N, T, 2) each
    twice = _cross(b - a, c - a)
    twice = torch.where(twice.abs() > 1e-6, twice, torch.inf)  # a flat triangle holds no pixel
    corners = torch.stack((a, b, c))
    low = (corners.amin((0, 1)) - 0.5).floor().clamp(0, size).long().tolist()
    high = (corners.amax((0, 1)) + 0.5).ceil().clamp(0, size).long().tolist()
    middle = torch.arange(size, device=points.device) + 0.5
    deepest = points.new_full((len(points), size, size), -torch.inf)
    chosen = torch.zeros(len(points), size, size, dtype=torch.int64, device=points.device)
    weights = points.new_zeros(len(points), size, size, 2)
    for t, ((left, top), (right, bottom)) in enumerate(zip(low, high, strict=True)):
        if left >= right or top >= bottom:
            continue
        at = torch.stack(torch.meshgrid(middle[left:right], middle[top:bottom], indexing="xy"), -1)
        box = (slice(None), slice(top, bottom), slice(left, right))
        to_b, to_c = (corner[:, t, None, None] - at for corner in (b, c))
        to_a, area = a[:, t, None, None] - at, twice[:, t, None, None]
        first, second = _cross(to_b, to_c) / area, _cross(to_c, to_a) / area
        depth = torch.minimum(torch.minimum(first, second), 1 - first - second)
        here = (depth >= -ROUNDING) & (depth > deepest[box])
        deepest[box] = torch.where(here, depth, deepest[box])
        chosen[box] = torch.where(here, t, chosen[box])
        weights[box] = torch.where(here[..., None], torch.stack((first, second), -1), weights[box])
    weights = torch.cat((weights, 1 - weights.sum(-1, keepdim=True)), -1)
    return Located(triangles[chosen], weights)


def warp(images: Tensor, source: Tensor, located: Located) -> Tensor:
    """Move pictures, bicubically; beyond their border it is repeated.

    Args:
        images: (N, 3, S, S) float32.
        source: (N, V, 2) float32, where the points lie in them.
        located: where the same points shall lie, see `locate`.

    Returns:
        (N, 3, S', S') float32, of the size of `located`.
    """
    n, side = located.vertices.shape[:2]
    index = located.vertices.view(n, -1, 1).expand(-1, -1, 2)
    corners = source.gather(1, index).view(n, side, side, 3, 2)
    at = (corners * located.weights[..., None]).sum(3) * (2 / TEMPLATE_SIZE) - 1
    return functional.grid_sample(images, at, mode="bicubic", padding_mode="border", align_corners=False)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
