"""Real networks by PyTorch: differentiable, in single or half precision, replayed as one graph on a GPU."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonymizers.base import padded
from evaluators.networks.backends.captured import Captured
from evaluators.networks.backends.feeding import feed, pooled
from evaluators.networks.backends.last_layer import reading, with_outputs
from evaluators.networks.backends.memory import halved
from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, Convention, checked, digest_here, known
from evaluators.networks.roles import TeacherOutput

BATCH = {"cpu": 16, "cuda": 256}
"""Faces per run."""
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Rebuilt:
    """State what a network is rebuilt from where its ONNX file does not convert: timm's architecture, its weights."""

    architecture: str
    dimension: int
    path: str
    sha256: str


REBUILT: dict[str, Rebuilt] = {
    "edgeface_xs": Rebuilt(
        "edgenext_x_small",
        512,
        "identity/edgeface_xs.safetensors",
        "e67569ad96d023dc67db510e80fb37e98cc633a2e4f9ab54b6470520c0c63d70",
    ),
    "edgeface_xxs": Rebuilt(
        "edgenext_xx_small",
        512,
        "identity/edgeface_xxs.safetensors",
        "0c8b597204be4bb423c7e434d530899bfff7f070e877bd84683ed52a170093bc",
    ),
}
"""onnx2torch 1.5 gives other embeddings than EdgeFace's ONNX file, without a word."""


class _TorchNet:
    """Keep one network on a device; `read` is differentiable, calls are not."""

    def __init__(
        self,
        folder: Path,
        name: str,
        convention: Convention,
        *,
        outputs: tuple[str, ...],
        device: str,
        precision: str,
    ) -> None:
        self.name = name
        self.digest = digest_here(folder, convention)
        self.convention = convention
        self.dtype = PRECISIONS[precision]
        self.device = torch.device(device)
        self.batch = convention.batch or BATCH[self.device.type]
        module = as_torch(folder, name, convention, outputs).requires_grad_(False).eval()
        self.module = module.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.graphs: dict[int, Captured] = {}

    def read(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run on (N, 3, S, S) pictures, uint8 or float in [0, 255], of which gradients may be asked.

        Returns:
            the module's outputs, float32.
        """
        out = self.module(feed(images, self.convention).to(self.dtype))
        return tuple(value.float() for value in (out if isinstance(out, (tuple, list)) else (out,)))

    def halve(self) -> bool:
        """Halve the batch, unless the file fixes it, and let go of the graphs; tell whether that was possible."""
        before, self.batch = self.batch, halved(self.batch, fixed=bool(self.convention.batch))
        self.graphs.clear()
        return self.batch < before

    @torch.inference_mode()
    def run(self, images: Tensor) -> list[Tensor]:
        """Run on (N, 3, S, S) uint8 pictures, in batches of one shape on a GPU; returns the outputs, float32."""
        parts = [self._batch(part) for part in images.to(self.device).split(self.batch)]
        return [torch.cat(out) for out in zip(*parts, strict=True)]

    def _batch(self, images: Tensor) -> tuple[Tensor, ...]:
        count = len(images)
        if self.device.type != "cuda":
            if self.convention.batch:
                images = padded(images, self.batch)
            return tuple(value[:count] for value in self.read(images))
        images = padded(images, self.batch)
        side = images.shape[-1]
        if side not in self.graphs:
            self.graphs[side] = Captured(self.read, images)
        return tuple(value[:count].clone() for value in self.graphs[side](images))


class TorchEmbedder(_TorchNet):
    """Embed faces with a network of EMBEDDERS, or of a convention that is given."""

    def __init__(
        self,
        folder: Path,
        name: str,
        convention: Convention | None = None,
        *,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        convention = convention or known(EMBEDDERS, name)
        super().__init__(folder, name, convention, outputs=(), device=device, precision=precision)

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 RGB aligned faces to (N, D) float32 of unit norm."""
        return functional.normalize(self.run(images)[0].flatten(1), dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) faces, uint8 or float in [0, 255], to (N, D) float32 of unit norm, differentiably."""
        return functional.normalize(self.read(images)[0], dim=1)

    def unfrozen(self) -> TorchEmbedder:
        """Return a copy whose weights can be trained."""
        new = copy.copy(self)
        new.module = copy.deepcopy(self.module).requires_grad_(True)
        new.graphs = {}
        return new


class TorchTeacher(_TorchNet):
    """Read expressions with a network of TEACHERS."""

    def __init__(self, folder: Path, name: str, *, device: str = "cpu", precision: str = "float32") -> None:
        convention = known(TEACHERS, name)
        outputs = reading(folder, convention)
        super().__init__(folder, name, convention, outputs=outputs, device=device, precision=precision)
        self.classes = convention.classes

    def read(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits (N, C) and pooled features (N, F), float32, differentiably."""
        logits, features = super().read(images)
        return logits, pooled(features)

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Map (N, 3, S, S) uint8 RGB aligned faces to logits (N, C) and pooled features (N, F)."""
        return TeacherOutput(*self.run(images))


def as_torch(folder: Path, name: str, convention: Convention, outputs: tuple[str, ...]) -> nn.Module:
    """Make a module of a network: rebuilt where REBUILT knows it, else converted from its ONNX file.

    Args:
        folder: of models.
        name: of the network.
        convention: of its ONNX file.
        outputs: tensors of the file that the module returns; () for its first output.

    Raises:
        ValueError: if a file is missing or another one than declared, or cannot be converted.
    """
    if name in REBUILT and convention == EMBEDDERS[name]:
        return rebuild(folder, REBUILT[name])
    import onnx2torch  # torchvision and torch's compiler: four seconds

    model = with_outputs(checked(folder / convention.path, *convention.digests), outputs)
    try:
        converted: nn.Module = onnx2torch.convert(model)
    except (NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{name}: onnx2torch cannot convert it, {error}; choose --backend-nets onnx") from error
    return converted


class Unstrided(nn.Module):
    """Convolve each channel by itself at every pixel, and keep each n-th: the same numbers as with a stride of n.

    On a CPU the gradient through a depthwise convolution with a stride takes up to 50 times as long as without.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does."""
        conv, (down, across) = self.conv, self.conv.stride
        dense = functional.conv2d(x, conv.weight, conv.bias, 1, conv.padding, conv.dilation, conv.groups)
        return dense[:, :, ::down, ::across]


def without_strides(module: nn.Module) -> None:
    """Replace a module's depthwise convolutions with a stride by Unstrided, where gradients are asked on a CPU."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.groups == child.in_channels > 1 and child.stride != (1, 1):
            setattr(module, name, Unstrided(child))
        else:
            without_strides(child)


def rebuild(folder: Path, rebuilt: Rebuilt) -> nn.Module:
    """Build a network by timm and load its weights, strictly.

    Raises:
        ValueError: if the weights are missing or another file than declared.
    """
    path = checked(folder / rebuilt.path, rebuilt.sha256)
    import timm  # torchvision and torch's compiler: four seconds
    from safetensors.torch import load_file

    net: nn.Module = timm.create_model(rebuilt.architecture, num_classes=rebuilt.dimension)
    net.load_state_dict(load_file(path))
    return net
