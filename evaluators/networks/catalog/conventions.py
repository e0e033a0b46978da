"""Conventions of real networks: how each file is fed and read is declared here, never guessed from its graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.catalog.onnx_file import damage, misfit, read_input, whole_digest

RESEARCH = "non-commercial research"
PACKAGE_MIT = "MIT by its package"
APACHE = "Apache-2.0; AffectNet, on which it was trained, is for research only"
LAYOUTS = ("nchw", "nhwc")
COLORS = ("rgb", "bgr")


@dataclass(frozen=True)
class Convention:
    """State how a file is fed and read.

    Attributes:
        path: within the folder of models, or absolute.
        sha256: of the file.
        size: side of its input, px.
        channels_last: whether the input is NHWC.
        mean, scale: the input is (x - mean) / scale of x in [0, 255]; one number, or one for each channel.
        terms: of use.
        gray: whether it takes one gray channel.
        classes: of a teacher, in the order of its output.
        logits: tensor with the teacher's logits, before any softmax; "" for the file's first output.
        features: tensor that the teacher's last layer reads: a map (N, C, h, w), which is averaged over its pixels, or
            a vector (N, F); "" for the one that `last_layer` finds.
        bgr: whether the channels are in the order blue, green, red.
        batch: pictures that the file takes at a time; 0 for any number.
        converted: SHA-256 of the file that our own conversion makes of what a package ships; "" where it has none. Both
            files say the same.
    """

    path: str
    sha256: str
    size: int
    channels_last: bool
    mean: float | tuple[float, float, float]
    scale: float | tuple[float, float, float]
    terms: str
    gray: bool = False
    classes: tuple[str, ...] = ()
    logits: str = ""
    features: str = ""
    bgr: bool = False
    batch: int = 0
    converted: str = ""

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the SHA-256 that the file may have."""
        return tuple(digest for digest in (self.sha256, self.converted) if digest)

    def describe(self) -> dict[str, object]:
        """Return how the file is fed, as it goes into tables and report."""
        return {
            "size": self.size,
            "layout": LAYOUTS[self.channels_last],
            "color": "gray" if self.gray else COLORS[self.bgr],
            "mean": self.mean,
            "scale": self.scale,
        }


def _edgeface(variant: str, sha256: str) -> Convention:
    return Convention(f"identity/edgeface_{variant}.onnx", sha256, 112, False, 127.5, 127.5, RESEARCH)


def _insightface(file: str, sha256: str) -> Convention:
    return Convention(f"identity/{file}", sha256, 112, False, 127.5, 127.5, RESEARCH)


def _emotieff(name: str, size: int, sha256: str) -> Convention:
    """Follow EmotiEffLib's facial_analysis.py: classes, size, ImageNet's mean and deviation."""
    return Convention(
        f"expression/{name}.onnx",
        sha256,
        size,
        False,
        (0.485 * 255, 0.456 * 255, 0.406 * 255),
        (0.229 * 255, 0.224 * 255, 0.225 * 255),
        APACHE,
        classes=("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    )


W600K_MBF = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
"""The recognition network of buffalo_s and buffalo_sc, which is one file."""

INSIGHTFACE: dict[str, Convention] = {
    "buffalo_l": _insightface(
        "buffalo_l/w600k_r50.onnx", "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
    ),
    "buffalo_s": _insightface("buffalo_s/w600k_mbf.onnx", W600K_MBF),
    "buffalo_sc": _insightface("buffalo_sc/w600k_mbf.onnx", W600K_MBF),
    "antelopev2": _insightface(
        "antelopev2/glintr100.onnx", "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
    ),
}
"""The recognition networks of InsightFace's packs; insightface's own class confirms mean and scale on loading."""

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
        converted="b07aa40432706315f1b9fa03f94a0e601919d5352c695c140e1d4b32eb55fa13",
    ),
    "faceplugin": Convention(
        "identity/faceplugin.onnx",
        "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
        112,
        False,
        127.5,
        127.5,
        PACKAGE_MIT,
        bgr=True,
        batch=1,
    ),
    **INSIGHTFACE,
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
        converted="36439c71667b1e154d0133e1ab67c64c1d88b1121a62461712b3de2aecbbecf2",
    ),
    "faceapi": Convention(
        "expression/faceapi.onnx",
        "b3be93905493c3141efb11f1526007ea64e32005a10524f1c559c9cee9c20ae0",
        112,
        False,
        0.0,  # the network takes [0, 255] and subtracts its means itself
        1.0,
        PACKAGE_MIT,
        classes=("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"),
        logits="logits",
        features="/Flatten_output_0",
        converted="a757bd2af473b5f995dbfb82f954b473be00fdda363dead74c34ddc2dce8e3a2",
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
        converted="3f8e7a1eac79e3ae4c73d987491956e65ad61b97b945d1d5cf2275ce6271a714",
    ),
    "enet_b0_8_best_afew": _emotieff(
        "enet_b0_8_best_afew", 224, "7aa2ea31c1311f4f8aa9d3fdb085d418dd4e7a48c4b9ed41df8c044f91d0213f"
    ),
    "enet_b0_8_best_vgaf": _emotieff(
        "enet_b0_8_best_vgaf", 224, "fa07e841fd06c7a67ee651ea4e6e4a3a2bb5695f47b37a7da50492526f59c898"
    ),
    "enet_b2_8": _emotieff("enet_b2_8", 260, "180a9d4845b59393de4511598a0d1d34b705034691ea32959ce5009db7cf52b7"),
    "ferplus": Convention(
        "expression/emotion-ferplus-8.onnx",
        "a2a2ba6a335a3b29c21acb6272f962bd3d47f84952aaffa03b60986e04efa61c",
        64,
        False,
        0.0,
        1.0,
        "MIT",
        gray=True,
        classes=("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
        batch=1,
    ),
}

DETECTOR = "detection/scrfd_2.5g_bnkps.onnx"
DETECTOR_SHA256 = "bc24bb349491481c3ca793cf89306723162c280cb284c5a5e49df3760bf5c2ce"
CENTERFACE = "detection/centerface.onnx"
CENTERFACE_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"


def known(table: Mapping[str, Convention], name: str) -> Convention:
    """Look a network up.

    Raises:
        ValueError: if its convention is not declared.
    """
    if name not in table:
        raise ValueError(
            f"expected one of {', '.join(table)}, got {name!r}; python -m orchestrator.models list shows all"
        )
    return table[name]


def convention_of(option: str, path: Path, described: str = "") -> Convention:
    """Make the convention of an ArcFace-style ONNX file that no table knows.

    Args:
        option: that named the file.
        path: of the file.
        described: what deviates from size=112,layout=nchw,color=rgb,mean=127.5,scale=127.5, in the same form.

    Raises:
        ValueError: if the file cannot serve, or the description cannot be read or is not what the file takes.
    """
    takes = read_input(option, path)
    given = {"size": "112", "layout": "nchw", "color": "rgb", "mean": "127.5", "scale": "127.5"}
    for part in described.split(",") if described else ():
        key, _, value = part.strip().partition("=")
        if key not in given or not value:
            raise ValueError(f"--embedder-input: expected some of {', '.join(given)}, as key=value, got {part!r}")
        given[key] = value
    for key, choices in (("layout", LAYOUTS), ("color", COLORS)):
        if given[key] not in choices:
            raise ValueError(f"--embedder-input: expected {key} to be {' or '.join(choices)}, got {given[key]!r}")
    try:
        size, mean, scale = int(given["size"]), float(given["mean"]), float(given["scale"])
    except ValueError:
        raise ValueError(f"--embedder-input: expected numbers for size, mean and scale, got {described!r}") from None
    if size < 1 or not 0 < scale < float("inf") or not -float("inf") < mean < float("inf"):
        raise ValueError(f"--embedder-input: expected size and scale above 0, and finite numbers, got {described!r}")
    if found := misfit(takes.shape, size, given["layout"]):
        raise ValueError(
            f"{option} {path}: expected what --embedder-input describes, {size} px {given['layout']}, {found}"
        )
    if takes.dtype == "uint8" and (mean, scale) != (0, 1):
        raise ValueError(
            f"{option} {path}: expected no mean and scale for the whole numbers (uint8) that it takes; give "
            "--embedder-input mean=0,scale=1"
        )
    return Convention(
        str(path.resolve()),
        takes.digest,
        size,
        given["layout"] == "nhwc",
        mean,
        scale,
        "the user's own file",
        bgr=given["color"] == "bgr",
        batch=takes.shape[0],
    )


def checked(path: Path, *sha256: str) -> Path:
    """Return the path of a file after its checksum was verified: it must be one of those given.

    Raises:
        ValueError: if it is missing or another file.
    """
    if not path.is_file():
        raise ValueError(
            f"--models: expected {path}, which is missing; python -m orchestrator.models list shows what can be pulled"
        )
    if (found := digest_of(path)) in sha256:
        return path
    if what := damage(path):
        raise ValueError(f"--models: expected {path} with SHA-256 {' or '.join(sha256)}, {what}")
    try:
        if whole_digest(path) in sha256:  # a network of the user's own, whose weights lie beside it
            return path
    except ValueError:
        pass  # it is no ONNX file, which its digest says already
    raise ValueError(f"--models: expected {path} with SHA-256 {' or '.join(sha256)}, got {found}; fetch it again")


def digest_here(folder: Path, convention: Convention) -> str:
    """Return the SHA-256 of a network's file, which may have one of two where our own conversion makes it too."""
    path = folder / convention.path
    return digest_of(path) if convention.converted and path.is_file() else convention.sha256
