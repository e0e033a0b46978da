"""Conventions of real networks: how each file is fed and read is declared here, never guessed from its graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
