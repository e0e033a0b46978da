"""Covering: every face of a picture is anonymized where it is, or black; none is left clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evaluators.networks.detection import Detection
from orchestrator.anonymize.faces.pasting import Place, blacken, cut, layers, paste, place_of
from orchestrator.anonymize.faces.treatment import Ready

ANONYMIZED, BLACK = "anonymized", "black"


@dataclass(frozen=True)
class Covered:
    """Say what was done to a face.

    Attributes:
        box: left, top, right, bottom, px of the picture.
        score: of the detector, in [0, 1].
        done: ANONYMIZED, or BLACK where the method could not work on it.
        why: it is black; "" else.
    """

    box: tuple[float, float, float, float]
    score: float
    done: str
    why: str = ""


def cover(picture: NDArray[np.uint8], found: Sequence[Detection], ready: Ready, keys: Sequence[str]) -> list[Covered]:
    """Anonymize faces in a picture, which is written to.

    Args:
        picture: (H, W, 3) uint8 RGB.
        found: its faces.
        ready: the method.
        keys: a name of each face, of which its randomness derives.

    Returns:
        What was done to each, in their order.
    """
    treatment = ready.treatment
    places: dict[int, Place] = {}
    why = [""] * len(found)
    for n, face in enumerate(found):
        try:
            places[n] = place_of(face, treatment.crop_px, around=treatment.around, border=treatment.border)
        except ValueError as error:
            why[n] = str(error)
            blacken(picture, face.box)
    order = list(places)
    for layer in layers([places[n] for n in order]):
        members = [order[n] for n in layer]
        crops = np.stack([cut(picture, places[n]) for n in members])
        released, reasons = ready.anonymize(
            torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(), tuple(keys[n] for n in members)
        )
        for n, crop, reason in zip(members, released.permute(0, 2, 3, 1).contiguous().numpy(), reasons, strict=True):
            paste(picture, crop, places[n])
            why[n] = reason
    return [
        Covered(_box(face), float(face.score), BLACK if reason else ANONYMIZED, reason)
        for face, reason in zip(found, why, strict=True)
    ]


def _box(face: Detection) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(v) for v in face.box)
    return left, top, right, bottom
