"""Regions: which pixels of the aligned crop a method changes."""

from __future__ import annotations

import torch
from torch import Tensor

from anonymizers.faces import TEMPLATE_SIZE
from anonymizers.ranges import Choice

REGION = Choice(("crop", "face"))
"""The whole crop, or an ellipse around the face."""

CENTER = (56.0, 62.0)
AXES = (44.0, 58.0)
"""Center (x, y) and half axes in px of the 112 px crop: from the hairline to below the chin of the ArcFace template,
whose eyes lie at y = 52 and mouth corners at y = 92, and from cheek to cheek."""


def mask(region: str, size: int, device: torch.device) -> Tensor:
    """Return the (size, size) bool mask of the pixels that a method changes."""
    if region == "crop":
        return torch.ones(size, size, dtype=torch.bool, device=device)
    scale = size / TEMPLATE_SIZE
    at = (torch.arange(size, device=device) + 0.5) / scale
    x, y = (at - CENTER[0]) / AXES[0], (at - CENTER[1]) / AXES[1]
    return (x.square()[None, :] + y.square()[:, None]) <= 1


def within(region: str, changed: Tensor, original: Tensor) -> Tensor:
    """Return `changed` inside the region and `original` outside, both (N, 3, H, W) uint8."""
    if region == "crop":
        return changed
    return torch.where(mask(region, original.shape[-1], original.device), changed, original)


SOFT = 8.0
"""Width of a soft border, px of the 112 px crop, inside the ellipse."""


def blended(region: str, changed: Tensor, original: Tensor) -> Tensor:
    """Lay pictures over others, with a soft border inside the region.

    Args:
        region: of REGION.
        changed: (N, 3, H, W) float32, in the region's middle.
        original: (N, 3, H, W) uint8, outside of the region.

    Returns:
        (N, 3, H, W) uint8.
    """
    if region == "crop":
        return changed.round().clamp(0, 255).to(torch.uint8)
    size = original.shape[-1]
    at = (torch.arange(size, device=original.device) + 0.5) * (TEMPLATE_SIZE / size)
    x, y = (at - CENTER[0]) / AXES[0], (at - CENTER[1]) / AXES[1]
    inside = (1 - (x.square()[None, :] + y.square()[:, None]).sqrt()) * min(AXES) / SOFT
    share = inside.clamp(0, 1)
    return (share * changed + (1 - share) * original).round().clamp(0, 255).to(torch.uint8)
