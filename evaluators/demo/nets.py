"""The demo networks: small, trained on demo faces by `python -m evaluators.demo.training`."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evaluators.demo.geometry import EXPRESSIONS
from evaluators.networks.roles import TeacherOutput

WEIGHTS = Path(__file__).resolve().parent / "weights"
DIMENSION = 128
BATCH = 32


class ConvUnit(nn.Module):
    """Convolve, normalize, rectify; the normalization can be folded into the convolution."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        x = self.norm(self.conv(x))
        return functional.relu(x, inplace=True) if self.relu else x

    def fold(self) -> None:
        """Fold the normalization into the convolution, for inference only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class Residual(nn.Module):
    """Add a body to its input (He et al., CVPR 2016)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return functional.relu(x + self.body(x))


def residual_trunk(outputs: int) -> nn.Sequential:
    """Build plain convolutions with residual blocks, (N, 3, 112, 112) to (N, outputs, 7, 7)."""

    def block(width: int) -> Residual:
        return Residual(ConvUnit(width, width), ConvUnit(width, width, relu=False))

    return nn.Sequential(
        ConvUnit(3, 24, stride=2),
        ConvUnit(24, 48, stride=2),
        block(48),
        ConvUnit(48, 96, stride=2),
        block(96),
        ConvUnit(96, outputs, stride=2),
        block(outputs),
    )


def separable_trunk(outputs: int) -> nn.Sequential:
    """Build inverted residuals (Sandler et al., CVPR 2018), (N, 3, 112, 112) to (N, outputs, 7, 7)."""

    def inverted(width: int) -> Residual:
        wide = 3 * width
        return Residual(
            ConvUnit(width, wide, 1), ConvUnit(wide, wide, groups=wide), ConvUnit(wide, width, 1, relu=False)
        )

    def down(inputs: int, width: int) -> list[nn.Module]:
        return [ConvUnit(inputs, inputs, stride=2, groups=inputs), ConvUnit(inputs, width, 1)]

    return nn.Sequential(
        ConvUnit(3, 24, size=5, stride=2),
        *down(24, 40),
        inverted(40),
        *down(40, 80),
        inverted(80),
        inverted(80),
        *down(80, outputs),
        inverted(outputs),
    )


class EmbedderNet(nn.Module):
    """Embed faces: a trunk, then one weight per channel and position as MobileFaceNet has it, then a linear map."""

    def __init__(self, trunk: nn.Sequential, width: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.positions = nn.Conv2d(width, width, 7, groups=width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, DIMENSION)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, 112, 112) RGB in [0, 1] to (N, 128), not normalized."""
        out: Tensor = self.linear(self.norm(self.positions(self.trunk(x * 2 - 1)).flatten(1)))
        return out


class TeacherNet(nn.Module):
    """Read expressions: a trunk, one weight per channel and position, then logits."""

    def __init__(self, trunk: nn.Sequential, width: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.positions = nn.Conv2d(width, width, 7, groups=width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, len(EXPRESSIONS))

    def features(self, x: Tensor) -> Tensor:
        """Map (N, 3, 112, 112) RGB in [0, 1] to (N, width) penultimate features."""
        return functional.relu(self.norm(self.positions(self.trunk(x * 2 - 1)).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, 112, 112) RGB in [0, 1] to (N, 7) logits, in the order of EXPRESSIONS."""
        out: Tensor = self.linear(self.features(x))
        return out


def build(net: str) -> nn.Module:
    """Build an untrained network.

    Raises:
        ValueError: if `net` is not embedder, held_out, teacher or second_teacher.
    """
    if net == "embedder":
        return EmbedderNet(residual_trunk(128), 128)
    if net == "held_out":
        return EmbedderNet(separable_trunk(160), 160)
    if net == "teacher":
        return TeacherNet(residual_trunk(96), 96)
    if net == "second_teacher":
        return TeacherNet(separable_trunk(112), 112)
    raise ValueError(f"demo networks: expected embedder, held_out, teacher or second_teacher, got {net!r}")


def fold(module: nn.Module) -> nn.Module:
    """Fold every normalization after a convolution into it; returns the module, in evaluation mode."""
    module.eval()
    for unit in module.modules():
        if isinstance(unit, ConvUnit):
            unit.fold()
    return module


class _Resident:
    """Keep a trained demo network on a device."""

    def __init__(self, net: str, device: torch.device | str) -> None:
        path = WEIGHTS / f"demo_{net}.safetensors"
        if not path.is_file():
            raise ValueError(
                f"demo networks: expected {path}, which is missing; make it with python -m evaluators.demo.training"
            )
        module = build(net)
        module.load_state_dict(load_file(path))
        self.name = f"demo_{net}"
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.module = fold(module).requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = torch.device(device)

    def pixels(self, images: Tensor) -> list[Tensor]:
        """Bring (N, 3, S, S) uint8 pictures to batches of (B, 3, 112, 112) in [0, 1]."""
        out = []
        for part in images.to(self.device).split(BATCH):
            x = part.float() / 255
            if x.shape[-1] != 112:
                x = functional.interpolate(x, size=(112, 112), mode="bilinear", antialias=True)
            out.append(x.contiguous(memory_format=torch.channels_last))
        return out


class DemoEmbedder(_Resident):
    """Embed demo faces."""

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 RGB to (N, 128) float32 of unit norm."""
        return functional.normalize(torch.cat([self.module(x) for x in self.pixels(images)]), dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) faces, uint8 or float in [0, 255], to (N, 128) float32 of unit norm, differentiably."""
        return functional.normalize(torch.cat([self.module(x) for x in self.pixels(images)]), dim=1)

    def unfrozen(self) -> DemoEmbedder:
        """Return a copy whose weights can be trained."""
        new = copy.copy(self)
        new.module = copy.deepcopy(self.module).requires_grad_(True)
        return new


class DemoTeacher(_Resident):
    """Read the expression of demo faces."""

    classes = EXPRESSIONS

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> TeacherOutput:
        """Map (N, 3, S, S) uint8 RGB to logits (N, 7) and features (N, 96), or (N, 112) of the second."""
        return TeacherOutput(*self.read(images))

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, S, S) faces, uint8 or float in [0, 255], to logits and features, differentiably."""
        assert isinstance(self.module, TeacherNet)
        features = torch.cat([self.module.features(x) for x in self.pixels(images)])
        return self.module.linear(features), features


def load_demo_embedder(device: torch.device | str = "cpu") -> DemoEmbedder:
    """Load the embedder that was trained with the ArcFace loss."""
    return DemoEmbedder("embedder", device)


def load_demo_held_out(device: torch.device | str = "cpu") -> DemoEmbedder:
    """Load the second embedder: another architecture, loss and training people."""
    return DemoEmbedder("held_out", device)


def load_demo_second_teacher(device: torch.device | str = "cpu") -> DemoTeacher:
    """Load the second teacher: another architecture, loss and training people, and labels of which some are wrong."""
    return DemoTeacher("second_teacher", device)


def load_demo_teacher(device: torch.device | str = "cpu") -> DemoTeacher:
    """Load the expression teacher."""
    return DemoTeacher("teacher", device)
