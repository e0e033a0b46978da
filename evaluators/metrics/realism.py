"""Realism: how the anonymized picture differs from the original, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.networks.roles import Found

WINDOW = 11
SIGMA = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""Wang's constants for data range 1, in units of uint8; the index is the same in either unit."""
MIDDLE = 128.0
"""Subtracted before squaring: variances do not change, and float32 loses less of them."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales of MS-SSIM, the finest first."""
MS_SSIM_SIZE = (WINDOW - 1) * 2**4 + 1
CHUNK = 16
"""Pictures at a time: few enough that their maps stay in a CPU's cache."""


@dataclass(frozen=True, eq=False)
class SsimStatistics:
    """Hold what SSIM needs of the originals.

    Attributes:
        images: (N, 3, H, W) uint8, the originals.
        mean: (N, 3, H - 10, W - 10) float32, local mean less 128, in units of uint8.
        variance: (N, 3, H - 10, W - 10) float32, local variance, in those units squared.
    """

    images: Tensor
    mean: Tensor
    variance: Tensor


def ssim_statistics(images: Tensor) -> SsimStatistics:
    """Compute local means and variances of the originals, once for all configurations.

    Args:
        images: (N, 3, H, W) uint8, H and W at least 11.

    Raises:
        ValueError: if the pictures are smaller than the window.
    """
    if min(images.shape[-2:]) < WINDOW:
        raise ValueError(
            f"ssim: expected pictures of at least {WINDOW} x {WINDOW} pixels, the window's size, got "
            f"{images.shape[-2]} x {images.shape[-1]}; use larger crops"
        )
    means, variances = [], []
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK].float() - MIDDLE
        mean, square = _smooth(torch.cat([x, x * x])).chunk(2)
        means.append(mean)
        variances.append(square - mean * mean)
    return SsimStatistics(images, torch.cat(means), torch.cat(variances))


def ssim(images: Tensor, original: SsimStatistics) -> Tensor:
    """Compute the structural similarity (Wang et al., IEEE TIP 2004, https://doi.org/10.1109/TIP.2003.819861).

    Gaussian window 11, sigma 1.5, data range 1, variances without Bessel's correction; the mean is taken over the
    pixels whose window lies in the picture, and over the three channels.

    Args:
        images: (N, 3, H, W) uint8, anonymized.
        original: statistics of the N originals.

    Returns:
        (N,) float32 in [-1, 1].

    Raises:
        ValueError: if the pictures do not have the originals' shape.
    """
    _check_shapes("ssim", images, original.images)
    out = []
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        y = images[part].float().sub_(MIDDLE)
        x = original.images[part].float().sub_(MIDDLE)
        mean_y, square_y, product_xy = _smooth(torch.cat([y, y * y, x.mul_(y)])).chunk(3)
        mean_x = original.mean[part]
        covariance = product_xy.addcmul_(mean_x, mean_y, value=-1)
        variances = square_y.addcmul_(mean_y, mean_y, value=-1).add_(original.variance[part])
        mean_x, mean_y = mean_x + MIDDLE, mean_y.add_(MIDDLE)
        squares = (mean_x * mean_x).addcmul_(mean_y, mean_y).add_(C1)
        above = mean_x.mul_(mean_y).mul_(2).add_(C1).mul_(covariance.mul_(2).add_(C2))
        out.append(above.div_(squares.mul_(variances.add_(C2))).mean((1, 2, 3)))
    return torch.cat(out)


def ms_ssim(images: Tensor, original: Tensor) -> Tensor | None:
    """Compute SSIM over five scales (Wang, Simoncelli and Bovik, Asilomar 2003).

    At every scale, as in `ssim`, only windows that lie in the picture count. torchmetrics 1.9 averages the coarsest
    scale over mirrored borders too, which moves the index by up to 0.003 on crops of 224 px.

    Args:
        images: (N, 3, H, W) uint8, anonymized.
        original: (N, 3, H, W) uint8.

    Returns:
        (N,) float32 in [0, 1], a negative mean of a scale counting as 0; None for crops under 161 px, whose coarsest
        scale is smaller than the window.
    """
    _check_shapes("ms_ssim", images, original)
    if min(images.shape[-2:]) < MS_SSIM_SIZE:
        return None
    out = []
    for a, b in zip(images.split(CHUNK), original.split(CHUNK), strict=True):
        x, y = a.float() - MIDDLE, b.float() - MIDDLE
        value = torch.ones(len(a), device=a.device)
        for scale, weight in enumerate(WEIGHTS):
            mean_x, mean_y, square_x, square_y, product = _smooth(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
            variances = square_x - mean_x * mean_x + square_y - mean_y * mean_y
            index = (2 * (product - mean_x * mean_y) + C2) / (variances + C2)
            if scale == len(WEIGHTS) - 1:  # luminance is compared at the coarsest scale only
                mean_x, mean_y = mean_x + MIDDLE, mean_y + MIDDLE
                index = index * (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
            value = value * index.mean((1, 2, 3)).clamp_min(0) ** weight
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        out.append(value)
    return torch.cat(out)


def mse(original: Tensor, images: Tensor) -> Tensor:
    """Compute the mean squared error of each picture, in units of the data range.

    Args:
        original: (N, 3, H, W) uint8.
        images: (N, 3, H, W) uint8, anonymized.

    Returns:
        (N,) float32 in [0, 1].

    Raises:
        ValueError: if the shapes differ.
    """
    _check_shapes("mse", images, original)
    out = []
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        difference = images[part].float().sub_(original[part])
        out.append(difference.square_().mean((1, 2, 3), dtype=torch.float64) / 255**2)
    return torch.cat(out).float()


def psnr(error: float) -> float | None:
    """Return the peak signal-to-noise ratio in dB.

    Args:
        error: mean squared error in [0, 1].

    Returns:
        -10 log10(error), at least 0; None for identical pictures, where it is unbounded.
    """
    return -10 * math.log10(error) if error > 0 else None


def landmark_nme(original: Found, anonymized: Found) -> float | None:
    """Compute the mean landmark error over the inter-ocular distance (Sun et al., CVPR 2013).

    Args:
        original, anonymized: what a detector finds in the same N crops before and after.

    Returns:
        the mean over the crops in which both times a face was found; None if there are none. `detection_rate` says how
        many those are.
    """
    both = original.found & anonymized.found
    if not both.any():
        return None
    truth, found = original.landmarks[both].double(), anonymized.landmarks[both].double()
    between_eyes = (truth[:, 0] - truth[:, 1]).norm(dim=1)
    return float(((truth - found).norm(dim=2).mean(1) / between_eyes).mean())


def _check_shapes(name: str, images: Tensor, original: Tensor) -> None:
    if images.shape != original.shape:
        raise ValueError(
            f"{name}: expected anonymized pictures of the originals' shape {tuple(original.shape)}, got "
            f"{tuple(images.shape)}; the anonymizer must keep number and size"
        )


def _smooth(x: Tensor) -> Tensor:
    """Average (N, C, H, W) float32 in the Gaussian window, columns then rows, to (N, C, H - 10, W - 10)."""
    offset = torch.arange(WINDOW, device=x.device, dtype=torch.float64) - WINDOW // 2
    weight = torch.exp(-0.5 * (offset / SIGMA).square())
    weight = (weight / weight.sum()).to(x.dtype)
    number, channels, height, width = x.shape
    # Every channel of every picture is a group of one convolution: the depthwise kernel is the fast one.
    maps = x.reshape(1, number * channels, height, width)
    for shape in ((1, 1, 1, WINDOW), (1, 1, WINDOW, 1)):
        maps = torch.conv2d(maps, weight.view(shape).expand(number * channels, *shape[1:]), groups=number * channels)
    return maps.view(number, channels, height - WINDOW + 1, width - WINDOW + 1)
