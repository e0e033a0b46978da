"""What serves training alone: the critic, the spy, and what shakes a picture before a network looks at it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from anonymizers.generative.nets.noisy_unet import CODES


def build_critic(width: int = 16) -> nn.Sequential:
    """Build a critic that tells drawn faces from photographs by patches, (N, 3, 112, 112) in [0, 1] to (N, 1, 7, 7).

    Sources: Isola et al., CVPR 2017 (https://arxiv.org/abs/1611.07004), for patches; Miyato et al., ICLR 2018
    (https://arxiv.org/abs/1802.05957), for spectral normalization.
    """
    layers: list[nn.Module] = []
    before = 3
    for after in (width, 2 * width, 4 * width, 8 * width):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        before = after
    return nn.Sequential(_Centered(), *layers, spectral_norm(nn.Conv2d(before, 1, 3, 1, 1)))


def build_spy(dimension: int, width: int = 256) -> nn.Sequential:
    """Build a spy that guesses the source's embedding from its codes, (N, K) to (N, dimension).

    The generator is trained to give it nothing to guess from (Ganin et al., Domain-adversarial training of neural
    networks, JMLR 2016, https://arxiv.org/abs/1505.07818).
    """
    inside = sum(channels * side * side for channels, side in CODES)
    return nn.Sequential(
        nn.LayerNorm(inside), nn.Linear(inside, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, dimension),
    )  # fmt: skip


def shake(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Move, soften and grain pictures a little, so that a network is convinced by a face and not by a pattern.

    Source: expectation over transformation, Athalye et al., ICML 2018 (https://arxiv.org/abs/1707.07397).

    Args:
        pictures: (N, 3, H, W) float in [0, 1].
        generator: on the CPU.

    Returns:
        (N, 3, H, W) float in [0, 1].
    """
    dx, dy, rounds = (
        int(torch.randint(low, high, (), generator=generator)) for low, high in ((-3, 4), (-3, 4), (0, 3))
    )
    x = pictures.roll((dy, dx), (2, 3))
    for _ in range(rounds):
        x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    grain = torch.randn(x.shape, generator=generator).to(x.device) * 0.04
    return (x + grain).clamp(0, 1)


class _Centered(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 - 1
