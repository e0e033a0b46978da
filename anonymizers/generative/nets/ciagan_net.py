"""Generator of CIAGAN: drawing of landmarks and masked picture, 128 px, and a one-hot identity.

Source: Maximov, Elezi and Leal-Taixé, CIAGAN: conditional identity anonymization generative adversarial networks, CVPR
2020 (https://arxiv.org/abs/2005.09544); names and shapes are those of github.com/dvl-tum/ciagan.
"""

from __future__ import annotations

import itertools
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

IDENTITIES = 1200
ENCODER = (32, 64, 128, 256, 256)
DECODER = (256, 128, 64, 32, 16)


class Convolution(nn.Module):
    """Convolve with mirrored borders and a spectrally normalized kernel."""

    def __init__(self, inside: int, outside: int, kernel: int) -> None:
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(kernel // 2)
        with warnings.catch_warnings():  # the parametrization that torch prefers has other names than the checkpoint
            warnings.simplefilter("ignore", FutureWarning)
            self.conv2d = nn.utils.spectral_norm(nn.Conv2d(inside, outside, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H, W)."""
        out: Tensor = self.conv2d(self.reflection_pad(x))
        return out


class Down(nn.Module):
    """Residual block that halves the resolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv_r1 = Convolution(inside, outside, 3)
        self.conv_r2 = Convolution(outside, outside, 3)
        self.conv_l = Convolution(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H / 2, W / 2)."""
        right = self.conv_r2(self.conv_r1(x.relu()).relu())
        return functional.avg_pool2d(self.conv_l(x), 2) + functional.avg_pool2d(right, 2)


class Up(nn.Module):
    """Residual block that doubles the resolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.norm_r1 = nn.InstanceNorm2d(inside, affine=True)
        self.conv_r1 = Convolution(inside, outside, 3)
        self.norm_r2 = nn.InstanceNorm2d(outside, affine=True)
        self.conv_r2 = Convolution(outside, outside, 3)
        self.conv_l = Convolution(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, 2 H, 2 W)."""
        right = self.conv_r1(self.upsample(self.norm_r1(x).relu()))
        right = self.conv_r2(self.norm_r2(right).relu())
        out: Tensor = self.conv_l(self.upsample(x)) + right
        return out


class Residual(nn.Module):
    """Residual block that keeps the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Convolution(width, width, 3)
        self.in1 = nn.InstanceNorm2d(width, affine=True)
        self.conv2 = Convolution(width, width, 3)
        self.in2 = nn.InstanceNorm2d(width, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        out: Tensor = x + self.in2(self.conv2(self.in1(self.conv1(x)).relu()))
        return out


class CiaganGenerator(nn.Module):
    """Encoder, embedding of the identity at the bottleneck, decoder."""

    def __init__(self) -> None:
        super().__init__()
        before = 6
        for number, width in enumerate(ENCODER):
            self.add_module(f"conv{number}", Down(before, width))
            self.add_module(f"in{number}_e", nn.InstanceNorm2d(width, affine=True))
            before = width
        self.embed = nn.Sequential(Convolution(512, 256, 3), nn.InstanceNorm2d(256, affine=True))
        for number in range(1, 5):
            self.add_module(f"res{number}", Residual(256))
        for number, width in zip((4, 3, 2, 1, 0), DECODER, strict=True):
            self.add_module(f"deconv{number}", Up(before, width))
            self.add_module(f"in{number}_d", nn.InstanceNorm2d(width, affine=True))
            before = width
        self.conv_end = nn.Sequential(nn.Conv2d(before, 3, 3, padding=1))
        widths = (IDENTITIES, 256, 256, 256, 256, 512, 512, 512)
        dense = [(nn.Linear(a, b), nn.LeakyReLU(0.2)) for a, b in itertools.pairwise(widths)]
        self.encode_one_hot = nn.Sequential(*(layer for pair in dense for layer in pair))
        spatial = [
            (Convolution(a, b, 3), nn.LeakyReLU(0.2), nn.InstanceNorm2d(b, affine=True))
            for a, b in ((32, 64), (64, 128), (128, 256))
        ]
        self.encode_noise = nn.Sequential(*(layer for three in spatial for layer in three))

    def forward(self, given: Tensor, identity: Tensor) -> Tensor:
        """Draw faces.

        Args:
            given: (N, 6, 128, 128) float in [0, 1]: the drawing's RGB, then the picture's, 0 where it is masked.
            identity: (N, 1200) float, one-hot.

        Returns:
            (N, 3, 128, 128) float, RGB, meant for [0, 1] but not bound to it.
        """
        x = given
        for number in range(len(ENCODER)):
            x = self.get_submodule(f"in{number}_e")(self.get_submodule(f"conv{number}")(x))
        noise = self.encode_noise(self.encode_one_hot(identity).view(-1, 32, 4, 4))
        x = self.embed(torch.cat((x, noise), 1))
        for number in range(1, 5):
            x = self.get_submodule(f"res{number}")(x)
        for number in (4, 3, 2, 1, 0):
            x = self.get_submodule(f"in{number}_d")(self.get_submodule(f"deconv{number}")(x))
        out: Tensor = self.conv_end(x)
        return out
