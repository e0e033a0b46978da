"""Real networks by ONNX Runtime: each file's convention is declared here, never guessed from its graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from evaluators.detection import Scrfd
from evaluators.nets import TeacherOutput

BATCH = {"cpu": 8, "cuda": 64}
"""Faces per run: on a CPU the tensors of more no longer fit its caches, and each face costs up to half more."""
RESEARCH = "non-commercial research"
PACKAGE_MIT = "MIT by its package"


@dataclass(frozen=True)
class Convention:
    """State how a file is fed and read.

    Attributes:
        path: within the folder of models.
        sha256: of the file.
        size: side of its input, px.
        channels_last: whether the input is NHWC.
        gray: whether it takes one gray channel.
        mean, scale: the input is (x - mean) / scale of x in [0, 255].
        terms: of use.
        classes: of a teacher, in the order of its output.
        logits: tensor with the teacher's logits, before any softmax.
        features: tensor with the teacher's last feature map (N, C, h, w), which is averaged over its pixels.
    """

    path: str
    sha256: str
    size: int
    channels_last: bool
    mean: float
    scale: float
    terms: str
    gray: bool = False
    classes: tuple[str, ...] = ()
    logits: str = ""
    features: str = ""


def _edgeface(variant: str, sha256: str) -> Convention:
    return Convention(f"identity/edgeface_{variant}.onnx", sha256, 112, False, 127.5, 127.5, RESEARCH)


EMBEDDERS: dict[str, Convention] = {
    "edgeface_xs": _edgeface("xs", "077a6b653a31d1c205caa90d60d6ffc6c6fce046821249209b879df764803d34"),
    "edgeface_xxs": _edgeface("xxs", "889d2fc4280bf7fe24d5d31834c0f7bda15c4264f4181d92dfa0a0c000136e7d"),
    "mobilefacenet_192": Convention(
        "identity/mobilefacenet_192.onnx",
        "450060976313a0d182fd99aba923cca05c8b0ce21d78aa75692ea46a6bfb13b0",
        112,
        True,
        127.5,
        128.0,
        PACKAGE_MIT,
    ),
}

TEACHERS: dict[str, Convention] = {
    "facex": Convention(
        "expression/facex.onnx",
        "d690ea6df2766f9adb77c9aa7283cf03ce82a1c33adf7d7ec76abf306bd635c8",
        200,
        True,
        0.0,
        255.0,
        PACKAGE_MIT,
        classes=("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
        logits="logits",
        features="t176",
    ),
    "mini_xception": Convention(
        "expression/mini_xception.onnx",
        "8fa618fb1f815725e6d24844cf7def4fa442d9259a005228c10c9da7f0cfb97b",
        64,
        True,
        127.5,
        127.5,
        PACKAGE_MIT,
        gray=True,
        classes=("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
        logits="model_1_1/global_average_pooling2d_1_1/Mean_Squeeze__188:0",
        features="model_1_1/add_4_1/Add:0",
    ),
}

DETECTOR = "detection/scrfd_2.5g_bnkps.onnx"
DETECTOR_SHA256 = "bc24bb349491481c3ca793cf89306723162c280cb284c5a5e49df3760bf5c2ce"
LUMA = (0.299, 0.587, 0.114)


class _OnnxNet:
    """Keep one ONNX Runtime session and the convention of its file."""

    def __init__(
        self,
        folder: Path,
        name: str,
        convention: Convention,
        *,
        threads: int | None,
        device: str,
        outputs: tuple[str, ...],
    ) -> None:
        path = checked(folder / convention.path, convention.sha256)
        self.name = name
        self.digest = convention.sha256
        self.convention = convention
        self.device = torch.device(device)
        self.batch = BATCH[self.device.type]
        model = onnx.load(path)
        present = {output.name for output in model.graph.output}
        for output in outputs:
            if output not in present:
                model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
        self.session = session(model.SerializeToString(), threads=threads, device=device)
        self.outputs = list(outputs) or [self.session.get_outputs()[0].name]
        self.input = self.session.get_inputs()[0].name

    def run(self, images: Tensor) -> list[Tensor]:
        """Run on (N, 3, S, S) uint8 pictures, in batches; returns the outputs, float32, on the net's device."""
        parts = [self.session.run(self.outputs, {self.input: self.pixels(part)}) for part in images.split(self.batch)]
        return [torch.from_numpy(np.concatenate(out)).to(self.device) for out in zip(*parts, strict=True)]

    def pixels(self, images: Tensor) -> NDArray[np.float32]:
        """Bring (N, 3, S, S) uint8 pictures to the net's size, color, range and layout."""
        want = self.convention
        x = images.float()
        if x.shape[-1] != want.size:
            x = functional.interpolate(
                x, size=(want.size, want.size), mode="bilinear", antialias=x.shape[-1] > want.size
            )
        if want.gray:
            x = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
        x = (x - want.mean) / want.scale
        if want.channels_last:
            x = x.permute(0, 2, 3, 1)
        return np.ascontiguousarray(x.cpu().numpy())


class OnnxEmbedder(_OnnxNet):
    """Embed faces with a network of EMBEDDERS."""

    def __init__(self, folder: Path, name: str, *, threads: int | None = None, device: str = "cpu") -> None:
        super().__init__(folder, name, known(EMBEDDERS, name), threads=threads, device=device, outputs=())

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 RGB aligned faces to (N, D) float32 of unit norm."""
        return functional.normalize(self.run(images)[0], dim=1)


class OnnxTeacher(_OnnxNet):
    """Read expressions with a network of TEACHERS."""

    def __init__(self, folder: Path, name: str, *, threads: int | None = None, device: str = "cpu") -> None:
        convention = known(TEACHERS, name)
        outputs = (convention.logits, convention.features)
        super().__init__(folder, name, convention, threads=threads, device=device, outputs=outputs)
        self.classes = convention.classes

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Map (N, 3, S, S) uint8 RGB aligned faces to logits (N, C) and pooled features (N, F)."""
        logits, features = zip(*(self._batch(part) for part in images.split(self.batch)), strict=True)
        return TeacherOutput(torch.cat(logits), torch.cat(features))

    def _batch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.run(images)
        return logits, features.mean((2, 3))  # pooled batch by batch: the maps of all faces would fill the memory


def known(table: Mapping[str, Convention], name: str) -> Convention:
    """Look a network up.

    Raises:
        ValueError: if its convention is not declared.
    """
    if name not in table:
        raise ValueError(
            f"--models: expected one of {', '.join(table)}, got {name!r}; declare its convention here first"
        )
    return table[name]


def checked(path: Path, sha256: str) -> Path:
    """Return the path of a file after its checksum was verified.

    Raises:
        ValueError: if it is missing or another file.
    """
    if not path.is_file():
        raise ValueError(f"--models: expected {path}, which is missing")
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
        raise ValueError(f"--models: expected {path} with SHA-256 {sha256}, got {found}; fetch it again")
    return path


def session(model: bytes, *, threads: int | None, device: str) -> onnxruntime.InferenceSession:
    """Start a session on the CPU, or on a GPU and nowhere else.

    Raises:
        ValueError: if a GPU was asked for and ONNX Runtime does not get it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or torch.get_num_threads()
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    made = onnxruntime.InferenceSession(model, options, providers=[wanted])
    if wanted not in made.get_providers():
        raise ValueError(f"--device {device}: expected ONNX Runtime's {wanted}, got {made.get_providers()}")
    return made


def load_detector(folder: Path, *, threads: int | None = None) -> Scrfd:
    """Load the SCRFD detector of a folder of models."""
    return Scrfd(checked(folder / DETECTOR, DETECTOR_SHA256), threads=threads)


def load_models(
    folder: Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    embedder: str = "edgeface_xs",
    held_out: str = "mobilefacenet_192",
    teacher: str = "facex",
) -> dict[str, Any]:
    """Load the real networks of a panel.

    Returns:
        embedder, held_out, teacher, detector, and `facts` about each, ready for JSON.

    Raises:
        ValueError: if a file is missing or another one than declared.
    """
    loaded: dict[str, Any] = {
        "embedder": OnnxEmbedder(folder, embedder, threads=threads, device=device),
        "held_out": OnnxEmbedder(folder, held_out, threads=threads, device=device),
        "teacher": OnnxTeacher(folder, teacher, threads=threads, device=device),
        "detector": load_detector(folder, threads=threads),
    }
    facts = {
        role: {"name": net.name, "sha256": net.digest, "terms": net.convention.terms}
        for role, net in loaded.items()
        if role != "detector"
    }
    facts["detector"] = {
        "name": loaded["detector"].name,
        "sha256": DETECTOR_SHA256,
        "terms": f"InsightFace: {RESEARCH}",
    }
    return {**loaded, "facts": facts}
