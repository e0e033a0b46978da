"""Face generator of DeepPrivacy2 for 128 px: a U-Net of residual blocks whose decoder is modulated by a style.

Source: Hukkelås and Lindseth, DeepPrivacy2: towards realistic full-body anonymization, WACV 2023
(https://arxiv.org/abs/2211.09454); names and shapes are those of the FDF128 model of github.com/hukkelas/deep_privacy2.
Resampling is StyleGAN's (Karras et al., https://arxiv.org/abs/1912.04958), here by PyTorch's own convolutions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STYLE = 512
WIDTHS = {128: 128, 64: 256, 32: 512, 16: 512, 8: 512}
SIDES = tuple(WIDTHS)
CLAMP = 256.0
SLOPE = 0.2


def resample(x: Tensor, kernel: Tensor, up: int, down: int, padding: tuple[int, int]) -> Tensor:
    """Insert zeros, pad, smooth with a symmetric kernel, and keep every `down`-th pixel.

    Args:
        x: (N, C, H, W) float.
        kernel: (k, k) float that sums to 1.
        up, down: factors.
        padding: before and after, of both axes, in px of the enlarged picture.
    """
    n, c, h, w = x.shape
    if up > 1:
        spread = x.new_zeros(n, c, h, up, w, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.view(n, c, h * up, w * up)
    x = functional.pad(x, (*padding, *padding))
    weight = (kernel * up**2).to(x.dtype).expand(c, 1, *kernel.shape)
    return functional.conv2d(x, weight, stride=down, groups=c)


class Dense(nn.Module):
    """Fully connected layer with an equalized learning rate."""

    def __init__(self, inside: int, outside: int, *, rate: float = 1.0, leaky: bool = False, bias: float = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside) / rate)
        self.bias = nn.Parameter(torch.full((outside,), float(bias)))
        self.rate, self.leaky = rate, leaky

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside) to (N, outside)."""
        x = functional.linear(x, self.weight * (self.rate / math.sqrt(self.weight.shape[1])), self.bias * self.rate)
        return functional.leaky_relu(x, SLOPE) * math.sqrt(2) if self.leaky else x


class Layer(nn.Module):
    """Modulate, convolve, normalize, add the bias, activate; each where asked."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int = 3,
        *,
        up: int = 1,
        down: int = 1,
        linear: bool = False,
        clamp: float | None = CLAMP,
        bias: bool = True,
        norm: bool = False,
        styled: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.up, self.down, self.linear, self.norm = up, down, linear, norm
        self.clamp = None if clamp is None else clamp * gain
        self.gain = gain if linear else gain * math.sqrt(2)
        if up > 1 or down > 1:
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            self.register_buffer("resample_filter", torch.outer(taps, taps) / 64)
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        if styled:
            self.affine = Dense(STYLE, inside, bias=1)
            self.affine_beta = Dense(STYLE, inside)
        self.styled = styled

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H * up / down, W * up / down)."""
        if self.styled:
            x = x * self.affine(style)[:, :, None, None] + self.affine_beta(style)[:, :, None, None]
        x = self._convolve(x, self.weight / math.sqrt(self.weight[0].numel()))
        if self.norm:
            x = functional.instance_norm(x)
        if self.bias is not None:
            x = x + self.bias[:, None, None]
        x = (x if self.linear else functional.leaky_relu(x, SLOPE)) * self.gain
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        around = weight.shape[-1] // 2
        if self.up > 1:  # the enlarging layers were trained with the kernel turned around
            x = resample(x, self.get_buffer("resample_filter"), 2, 1, (around + 2, around + 1))
            return functional.conv2d(x, weight.flip(2, 3))
        if self.down > 1 and not around:
            return functional.conv2d(resample(x, self.get_buffer("resample_filter"), 1, 2, (1, 1)), weight)
        if self.down > 1:
            x = resample(x, self.get_buffer("resample_filter"), 1, 1, (around + 1, around + 1))
            return functional.conv2d(x, weight, stride=2)
        return functional.conv2d(x, weight, padding=around)


class Block(nn.Module):
    """Two layers beside a linear one."""

    def __init__(
        self, inside: int, outside: int, *, up: int = 1, down: int = 1, gain: float, styled: bool = False
    ) -> None:
        super().__init__()
        self.conv0 = Layer(inside, outside, down=down, norm=styled, styled=styled)
        self.conv1 = Layer(outside, outside, up=up, norm=styled, styled=styled, gain=gain)
        self.skip = Layer(inside, outside, 1, up=up, down=down, linear=True, clamp=None, bias=False, gain=gain)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H * up / down, W * up / down)."""
        out: Tensor = self.skip(x) + self.conv1(self.conv0(x, style), style)
        return out


class StyleNet(nn.Module):
    """Map noise to a style, and remember the mean style."""

    def __init__(self) -> None:
        super().__init__()
        self.fc0 = Dense(STYLE, STYLE, rate=0.01, leaky=True)
        self.fc1 = Dense(STYLE, STYLE, rate=0.01, leaky=True)
        self.register_buffer("w_avg", torch.zeros(STYLE))

    def forward(self, noise: Tensor) -> Tensor:
        """Map (N, 512) to (N, 512)."""
        out: Tensor = self.fc1(self.fc0(noise * (noise.square().mean(1, keepdim=True) + 1e-8).rsqrt()))
        return out


class DeepPrivacy2Generator(nn.Module):
    """Fill the masked part of a picture with a face."""

    def __init__(self) -> None:
        super().__init__()
        self.style_net = StyleNet()
        self.from_rgb = Layer(4, WIDTHS[128], 1, clamp=None)
        inner = {side: WIDTHS[max(side // 2, 8)] for side in SIDES}
        self.encoder = nn.ModuleList(
            Block(WIDTHS[side], inner[side], down=1 if side == 128 else 2, gain=math.sqrt(0.5)) for side in SIDES
        )
        third = math.sqrt(1 / 3)
        self.decoder = nn.ModuleList()
        for number, side in enumerate(reversed(SIDES)):
            up = 1 if side == 128 else 2
            self.decoder.append(Block(inner[side], WIDTHS[side], up=up, gain=third, styled=True))
            if number:
                self.add_module(f"unet_block{number}", Layer(inner[side], inner[side], 1, norm=True, gain=third))
        self.to_rgb = Layer(WIDTHS[128], 3, 1, linear=True)

    def forward(self, picture: Tensor, known: Tensor, style: Tensor) -> Tensor:
        """Draw faces.

        Args:
            picture: (N, 3, 128, 128) float in [-1, 1], 0 where not known.
            known: (N, 1, 128, 128) float, 1 where the picture is known, 0 where it is drawn.
            style: (N, 512), from `style_net`.

        Returns:
            (N, 3, 128, 128) float, meant for [-1, 1] but not bound to it; what was known is unchanged.
        """
        x = self.from_rgb(torch.cat((picture, known), 1))
        passed: list[Tensor] = []
        for block in self.encoder:
            x = block(x)
            passed.append(x)
        for number, block in enumerate(self.decoder):
            if number:
                x = x + self.get_submodule(f"unet_block{number}")(passed[-1 - number])
            x = block(x, style)
        drawn: Tensor = self.to_rgb(x)
        return picture * known + drawn * (1 - known)
