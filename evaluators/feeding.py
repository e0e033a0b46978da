"""Feeding: pictures as a network takes them; the same for every back end, and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.conventions import Convention

LUMA = (0.299, 0.587, 0.114)


def feed(images: Tensor, convention: Convention) -> Tensor:
    """Bring pictures to a network's size, color, range and layout.

    Args:
        images: (N, 3, S, S) uint8, or float of which gradients may be asked, RGB in [0, 255].
        convention: of the network.

    Returns:
        (N, C, size, size) float32, or (N, size, size, C) where the channels come last, contiguous.
    """
    x = images.float()
    if x.shape[-1] != convention.size:
        side = (convention.size, convention.size)
        x = functional.interpolate(x, size=side, mode="bilinear", antialias=x.shape[-1] > convention.size)
    if convention.gray:
        x = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
    x = convention.normalize(x)
    if convention.channels_last:
        x = x.permute(0, 2, 3, 1)
    return x.contiguous()


def pooled(features: Tensor) -> Tensor:
    """Return (N, F) of a map (N, F, h, w), averaged over its pixels, or of a vector as it is."""
    return features.mean((2, 3)) if features.ndim > 2 else features
