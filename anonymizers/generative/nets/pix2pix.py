"""Pix2pix U-Net of GANonymization: a drawing of 512 px becomes a face of 512 px.

Sources: Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017
(https://arxiv.org/abs/1611.07004); Hellmann et al., GANonymization, 2023 (https://arxiv.org/abs/2305.02143), whose
published checkpoint has these names and shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DOWN = (64, 128, 256, 512, 512, 512, 512, 512)
UP = (512, 512, 512, 512, 256, 128, 64)


class Stage(nn.Module):
    """Halve or double the resolution; `model` is the name that the checkpoint gives the layers."""

    def __init__(self, convolution: nn.Module, width: int, activation: nn.Module, *, norm: bool = True) -> None:
        super().__init__()
        layers = [convolution, *([nn.InstanceNorm2d(width)] if norm else []), activation]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H / 2, W / 2) or (N, width, 2 H, 2 W)."""
        out: Tensor = self.model(x)
        return out


class Pix2PixUNet(nn.Module):
    """Eight halvings, seven doublings with skip connections, and a last doubling; dropout serves training alone."""

    def __init__(self) -> None:
        super().__init__()
        before = 3
        for number, width in enumerate(DOWN, 1):
            narrow = nn.Conv2d(before, width, 4, 2, 1, bias=False)
            stage = Stage(narrow, width, nn.LeakyReLU(0.2), norm=1 < number < len(DOWN))
            self.add_module(f"down{number}", stage)
            before = width
        for number, width in enumerate(UP, 1):
            wide = nn.ConvTranspose2d(before, width, 4, 2, 1, bias=False)
            self.add_module(f"up{number}", Stage(wide, width, nn.ReLU()))
            before = width + DOWN[len(DOWN) - 1 - number]
        self.final = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(before, 3, 4, padding=1), nn.Tanh()
        )

    def forward(self, drawing: Tensor) -> Tensor:
        """Map (N, 3, S, S) float in [-1, 1], S a multiple of 256 and at least 512, to a face of the same form."""
        passed: list[Tensor] = []
        x = drawing
        for number in range(1, len(DOWN) + 1):
            x = self.get_submodule(f"down{number}")(x)
            passed.append(x)
        for number in range(1, len(UP) + 1):
            x = torch.cat((self.get_submodule(f"up{number}")(x), passed[-1 - number]), 1)
        out: Tensor = self.final(x)
        return out
