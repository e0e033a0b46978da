"""Perceptual distances: LPIPS on torchvision's backbones, and its shift-tolerant successor ST-LPIPS.

Sources: Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018
(https://arxiv.org/abs/1801.03924); Ghildyal and Liu, Shift-tolerant perceptual similarity metric, ECCV 2022
(https://arxiv.org/abs/2207.13686).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 32
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Normalization of RGB in [-1, 1] by the mean and deviation of ImageNet, as both papers' code has it."""

# Which layers of torchvision's `features` end a stage whose output is compared.
STAGES: dict[str, tuple[str, tuple[int, ...]]] = {
    "alex": ("alexnet", (1, 4, 7, 9, 11)),
    "squeeze": ("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12)),
    "vgg": ("vgg16", (3, 8, 15, 22, 29)),
}


class _Perceptual(nn.Module):
    """Compare the unit-normalized activations of a trunk, stage by stage, with learned weights per channel."""

    name: str
    digest: str

    def __init__(self, stages: Sequence[nn.Module], linear: Sequence[Tensor]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.linear = nn.ParameterList([nn.Parameter(w.flatten(), requires_grad=False) for w in linear])
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        # The sums over channels are then over neighbors in memory.
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare pictures; differentiable.

        Args:
            a: (N, 3, H, W) float32, RGB in [-1, 1].
            b: (N, 3, H, W) float32, RGB in [-1, 1].

        Returns:
            (N,) float32, distances, at least 0.
        """
        return self._compare(self._activations(a), self._activations(b))

    @torch.inference_mode()
    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute once what never changes about the originals.

        Args:
            images: (N, 3, H, W) uint8, RGB.

        Returns:
            (N, C, h, w) float32 per stage, of unit norm over the channels.
        """
        kept: tuple[Tensor, ...] = ()
        for start in range(0, len(images), BATCH):
            stages = self._activations(_floats(images[start : start + BATCH]))
            if not kept:  # filled and not joined: joining would hold everything twice for a moment
                kept = tuple(stage.new_empty((len(images), *stage.shape[1:])) for stage in stages)
            for whole, stage in zip(kept, stages, strict=True):
                whole[start : start + BATCH] = stage
        return kept

    @torch.inference_mode()
    def distance(self, features_a: Sequence[Tensor], features_b: Sequence[Tensor]) -> Tensor:
        """Compare N pictures with N others by the features of both, to (N,) float32 distances, at least 0."""
        return self._compare(features_a, features_b)

    @torch.inference_mode()
    def distance_to(self, features: Sequence[Tensor], images: Tensor) -> Tensor:
        """Compare pictures with originals whose features are kept, without keeping those of the pictures.

        Args:
            features: of the N originals.
            images: (N, 3, H, W) uint8, RGB.

        Returns:
            (N,) float32, distances, at least 0; 0 for equal pictures.

        Raises:
            ValueError: if there are not as many pictures as originals.
        """
        if len(features[0]) != len(images):
            raise ValueError(
                f"{self.name}: expected as many pictures as originals, {len(features[0])}, got {len(images)}; "
                "the anonymizer must keep their number"
            )
        out = []
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            out.append(self._compare([stage[part] for stage in features], self._activations(_floats(images[part]))))
        return torch.cat(out)

    def _activations(self, images: Tensor) -> list[Tensor]:
        """Return the activations of each stage, of unit norm over the channels, of pictures in [-1, 1]."""
        x = (images - self.get_buffer("shift")) / self.get_buffer("scale")
        out = []
        for stage in self.stages:
            x = stage(x)
            out.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10))
        return out

    def _compare(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        stages = zip(a, b, self.linear, strict=True)
        return torch.stack([(x - y).square().mean((2, 3)) @ w for x, y, w in stages]).sum(0)


class LPIPS(_Perceptual):
    """LPIPS version 0.1, with the linear layers of the package `lpips` and a backbone that was pulled."""

    name = "lpips"

    def __init__(self, backbone: str, backbone_state: Mapping[str, Tensor]) -> None:
        """Compose a backbone and its linear layers.

        Args:
            backbone: "alex", "squeeze" or "vgg".
            backbone_state: state of torchvision's alexnet, squeezenet1_1 or vgg16; its classifier is not used.

        Raises:
            ValueError: if the backbone is unknown, or the state is another network's.
        """
        if backbone not in STAGES:
            raise ValueError(f"LPIPS: expected a backbone of {sorted(STAGES)}, got {backbone!r}; choose one of them")
        name, ends = STAGES[backbone]
        from torchvision import models  # imports torch's compiler, for seconds, which ST-LPIPS does without

        with torch.device("meta"):
            trunk = models.get_model(name, weights=None).get_submodule("features")
        own = {
            key.removeprefix("features."): value.detach().clone()
            for key, value in sorted(backbone_state.items())
            if key.startswith("features.")
        }
        expected = {key: tuple(value.shape) for key, value in trunk.state_dict().items()}
        if (got := {key: tuple(value.shape) for key, value in own.items()}) != expected:
            raise ValueError(
                f"LPIPS: expected the state of torchvision's {name}, with {len(expected)} tensors under "
                f"features., got {len(got)} of which {len(got.items() & expected.items())} fit; pull the backbone again"
            )
        trunk.load_state_dict(own, assign=True)
        layers = list(trunk.children())
        starts = (0, *(end + 1 for end in ends[:-1]))
        stages = [nn.Sequential(*layers[start : end + 1]) for start, end in zip(starts, ends, strict=True)]
        path = _package("lpips") / "weights" / "v0.1" / f"{backbone}.pth"
        linear = torch.load(path, map_location="cpu", weights_only=True)
        super().__init__(stages, [linear[f"lin{i}.model.1.weight"] for i in range(len(ends))])
        digest = hashlib.sha256(path.read_bytes())
        for value in own.values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
        self.digest = digest.hexdigest()


class STLPIPS(_Perceptual):
    """ST-LPIPS with its anti-aliased AlexNet; trunk and linear layers come in the package `stlpips-pytorch`."""

    name = "st_lpips"

    def __init__(self, path: Path | None = None) -> None:
        """Load the weights, strictly.

        Args:
            path: of the weights; None for those in the installed package.

        Raises:
            ValueError: if the package is not installed, or the file holds another network.
        """
        path = path or _package("stlpips_pytorch") / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        # The published keys number the layers of the whole trunk: net.slice<stage>.<layer>.
        shapes = {
            "1.0": (64, 3, 11),
            "2.5": (192, 64, 5),
            "3.9": (384, 192, 3),
            "4.11": (256, 384, 3),
            "5.13": (256, 256, 3),
        }
        blurs = {"1.1": 64, "2.4": 64, "3.8": 192}
        expected: dict[str, tuple[int, ...]] = {f"scaling_layer.{key}": (1, 3, 1, 1) for key in ("shift", "scale")}
        for i, (key, (outputs, inputs, size)) in enumerate(shapes.items()):
            expected[f"net.slice{key}.weight"] = (outputs, inputs, size, size)
            expected[f"net.slice{key}.bias"] = (outputs,)
            expected[f"lin{i}.model.1.weight"] = (1, outputs, 1, 1)
        expected |= {f"net.slice{key}.filt": (channels, 1, 3, 3) for key, channels in blurs.items()}
        if (got := {key: tuple(value.shape) for key, value in state.items()}) != expected:
            raise ValueError(
                f"STLPIPS: expected the {len(expected)} tensors of ST-LPIPS on AlexNet in {path}, got {len(got)} of "
                f"which {len(got.items() & expected.items())} fit; install stlpips-pytorch again"
            )

        def conv(key: str) -> nn.Module:
            outputs, inputs, size = shapes[key]
            layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, device="meta")
            own = {part: state[f"net.slice{key}.{part}"] for part in ("weight", "bias")}
            layer.load_state_dict(own, assign=True)
            return layer

        def pool(key: str) -> list[nn.Module]:
            return [nn.MaxPool2d(3, 1), _BlurPool(state[f"net.slice{key}.filt"])]

        first = _BlurredConv(state["net.slice1.0.weight"], state["net.slice1.0.bias"])
        stages = [
            nn.Sequential(first, nn.ReLU(inplace=True)),
            nn.Sequential(*pool("2.4"), conv("2.5"), nn.ReLU(inplace=True)),
            nn.Sequential(*pool("3.8"), conv("3.9"), nn.ReLU(inplace=True)),
            nn.Sequential(conv("4.11"), nn.ReLU(inplace=True)),
            nn.Sequential(conv("5.13"), nn.ReLU(inplace=True)),
        ]
        super().__init__(stages, [state[f"lin{i}.model.1.weight"] for i in range(len(stages))])
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()


class _BlurPool(nn.Module):
    """Halve the resolution after a 3 x 3 binomial blur, border reflected by two pixels.

    Source: Zhang, Making convolutional networks shift-invariant again, ICML 2019 (https://arxiv.org/abs/1904.11486).
    """

    def __init__(self, filt: Tensor) -> None:
        super().__init__()
        self.register_buffer("filt", filt.clone())

    def forward(self, x: Tensor) -> Tensor:
        filt = self.get_buffer("filt")
        return functional.conv2d(functional.pad(x, (2, 2, 2, 2), "reflect"), filt, stride=2, groups=x.shape[1])


class _BlurredConv(nn.Module):
    """Convolve with stride 1 and padding 2, then blur and halve as `_BlurPool` does, as one convolution of stride 2.

    The two follow each other without a nonlinearity, so that their kernels can be convolved: a third of the
    multiplications. At the border: blurring c2 c1 [c0 c1 c2 ...], of which those outside the brackets are reflected,
    gives twice the same first value. At the far end it does so where the number n of values is odd; where it is even,
    the last value is that of c_(n-2) c_(n-1) c_(n-2), a blur by 1/2 1/2 of the last two.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        blurs = {"blur": (0.25, 0.5, 0.25), "last": (0.5, 0.5)}
        for rows, down in blurs.items():
            for columns, across in blurs.items():
                margin = (len(across) - 1, len(across) - 1, len(down) - 1, len(down) - 1)
                padded = functional.pad(weight.double(), margin)
                taps = torch.outer(torch.tensor(down), torch.tensor(across)).double()
                kernel = functional.conv2d(padded.flatten(0, 1)[:, None], taps[None, None])
                kernel = kernel.view(*weight.shape[:2], *kernel.shape[-2:]).float()
                self.register_buffer(f"{rows}_{columns}", kernel)
        self.register_buffer("bias", bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (2, 2, 2, 2))
        out = self._row(x, "blur")
        even = x.shape[-2] % 2 == 0
        if even:
            out = torch.cat([out, self._row(x[..., -self.get_buffer("last_last").shape[-2] :, :], "last")], -2)
        return functional.pad(out, (0, 0, 1, 0 if even else 1), "replicate")

    def _row(self, x: Tensor, rows: str) -> Tensor:
        bias = self.get_buffer("bias")
        out = functional.conv2d(x, self.get_buffer(f"{rows}_blur"), bias, stride=2)
        even = x.shape[-1] % 2 == 0
        if even:
            kernel = self.get_buffer(f"{rows}_last")
            out = torch.cat([out, functional.conv2d(x[..., -kernel.shape[-1] :], kernel, bias, stride=2)], -1)
        return functional.pad(out, (1, 0 if even else 1, 0, 0), "replicate")


def _floats(images: Tensor) -> Tensor:
    """Map (N, 3, H, W) uint8 to float32 in [-1, 1]."""
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _package(name: str) -> Path:
    """Find an installed package's folder without importing it: one of them imports what it does not declare.

    Raises:
        ValueError: if it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"perceptual: expected the package {name} to be installed; run uv sync")
    return Path(spec.origin).parent
