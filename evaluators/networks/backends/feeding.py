"""Feeding: pictures as a network takes them; the same for every back end, and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.networks.catalog.conventions import Convention

LUMA = (0.299, 0.587, 0.114)


def feed(images: Tensor, convention: Convention) -> Tensor:
    """Bring pictures to a network's size, color, range and layout.

    Args:
        images: (N, 3, S, S) uint8, or float of which gradients may be asked, RGB in [0, 255].
        convention: of the network.

    Returns:
        (N, C, size, size) float32, or (N, size, size, C) where the channels come last, contiguous.
    """
    x = resized(images.float(), convention.size)
    if convention.gray:
        red, green, blue = x.unbind(1)
        x = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]
    x = normalized(x, convention)
    if convention.channels_last:
        x = x.permute(0, 2, 3, 1)
    return x.contiguous()


def normalized(x: Tensor, convention: Convention) -> Tensor:
    """Bring (N, C, S, S) float32 RGB or gray in [0, 255] to a network's order of channels and range.

    Means and scales enter as numbers: while a GPU records a graph, no tensor can be made of them.
    """
    mean, scale = convention.mean, convention.scale
    if convention.bgr:
        x = x.flip(1)
    if not isinstance(mean, tuple) and not isinstance(scale, tuple):
        return (x - mean) / scale
    channels = x.unbind(1)
    means, scales = (v if isinstance(v, tuple) else (v,) * len(channels) for v in (mean, scale))
    return torch.stack([(c - m) / s for c, m, s in zip(channels, means, scales, strict=True)], 1)


def resized(x: Tensor, side: int) -> Tensor:
    """Bring (N, C, S, S) float pictures to (N, C, side, side), bilinear, smoothed where they shrink."""
    if x.shape[-1] == side:
        return x
    return functional.interpolate(x, size=(side, side), mode="bilinear", antialias=x.shape[-1] > side)


def pooled(features: Tensor) -> Tensor:
    """Return (N, F) of a map (N, F, h, w), averaged over its pixels, or of a vector as it is."""
    return features.mean((2, 3)) if features.ndim > 2 else features
