"""Signals: what may be known of a face besides its picture, and its mirror image.

They are measured once on the clear pictures and lie in `Faces.signals`, in px of the 112 px crop:

    landmarks68   (N, 68, 2) float32, (x, y) in iBUG's order
    landmarks478  (N, 478, 2) float32, (x, y) of MediaPipe's face mesh
    parsing       (N, S, S) uint8, index into PARSING
    expression    (N, 1) uint8, index into EXPRESSIONS: what a network of the zoo reads
    coefficients  (N, D) float32, how far its parts moved: MediaPipe's 52 BLENDSHAPES, in [0, 1], or the demo's motions
    pose          (N, 3) float32, how the head is turned: yaw, pitch and roll, in degrees; of the demo px, px, rad

A face of which a signal could not be measured has NaN in it, or 255 throughout, and is released black.
"""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor

from anonymizers.faces import TEMPLATE_SIZE, Faces

UNMEASURED = 255
"""Class throughout a map of classes that could not be measured."""


def with_signals(faces: Faces, needs: tuple[str, ...], method: str = "signals") -> Tensor:
    """Tell which faces have all of some signals.

    Args:
        faces: N faces.
        needs: names in `Faces.signals`.
        method: who asks, for the sentence.

    Returns:
        (N,) bool on the CPU.

    Raises:
        ValueError: if a signal was not measured at all.
    """
    if missing := [name for name in needs if name not in faces.signals]:
        raise ValueError(
            f"{method}: expected faces with the signals {', '.join(needs)}, {', '.join(missing)} were not measured; "
            "prepare the faces with the network that measures them"
        )
    seen = torch.ones(len(faces), dtype=torch.bool)
    for name in needs:
        seen &= present(faces.signals[name]).cpu()
    return seen


def present(signal: Tensor) -> Tensor:
    """Tell of which faces an (N, ...) signal was measured: no NaN in it; of classes, not UNMEASURED throughout."""
    signal = signal.flatten(1)
    return signal.isfinite().all(1) if signal.is_floating_point() else (signal != UNMEASURED).any(1)


PARSING: tuple[str, ...] = ("background", "skin", "brow", "eye", "nose", "mouth", "hair", "ear", "cloth")
"""Names of the parts in a parsing map; "skin" has the neck, "mouth" lips and all between them."""


EXPRESSIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Names of the expressions that a generator can be told: one of seven says 2.8 bits of a picture at most."""


BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""MediaPipe's 52, in its order."""
_MIRRORED52 = tuple(
    BLENDSHAPES.index(re.sub("(Left|Right)$", lambda side: {"Left": "Right", "Right": "Left"}[side[0]], name))
    for name in BLENDSHAPES
)
"""Which blendshape one becomes in the mirror."""


MIRRORED68 = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip
"""Which landmark of iBUG a landmark becomes in the mirror."""


MESH68 = (
    127, 234, 93, 132, 58, 172, 136, 150, 152, 379, 365, 397, 288, 361, 323, 454, 356, 70, 63, 105, 66, 107, 336, 296,
    334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61,
    39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Vertices of MediaPipe's face mesh that lie where iBUG's landmarks do, nearly."""


def five(points: Tensor) -> Tensor:
    """Return the (N, 5, 2) eye centers, nose tip and mouth corners of (N, 68, 2) landmarks."""
    eyes = [points[:, first : first + 6].mean(1) for first in (36, 42)]
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], 1)


def mirrored(faces: Faces) -> Faces:
    """Mirror pictures and signals, left to right.

    Raises:
        ValueError: if there is a signal whose mirror image is not known.
    """
    signals = {}
    for name, signal in faces.signals.items():
        if name == "parsing":
            signals[name] = signal.flip(2)
        elif name == "landmarks68":
            signals[name] = _across(signal[:, list(MIRRORED68)])
        elif name == "expression" or (name == "coefficients" and signal.shape[1] != len(BLENDSHAPES)):
            signals[name] = signal  # a face in the mirror smiles as much, and the demo's motions have no side
        elif name == "coefficients":
            signals[name] = signal[:, list(_MIRRORED52)]
        elif name == "pose":
            signals[name] = signal * signal.new_tensor((-1.0, 1.0, -1.0))
        elif name == "landmarks478":  # drawn as dots alone, whose order does not matter
            signals[name] = _across(signal)
        else:
            raise ValueError(
                f"signal {name}: expected one of landmarks68, landmarks478, parsing, expression, coefficients, pose, "
                "whose mirror is known"
            )
    return replace(faces, images=faces.images.flip(3), signals=signals)


def _across(points: Tensor) -> Tensor:
    return torch.stack((TEMPLATE_SIZE - points[..., 0], points[..., 1]), -1)
