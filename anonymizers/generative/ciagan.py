from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, padded
from anonymizers.faces import TEMPLATE_SIZE, Faces
from anonymizers.generative.conditioning import BRIDGE, INNER_MOUTH, JAW
from anonymizers.generative.nets.ciagan_net import IDENTITIES, CiaganGenerator
from anonymizers.generative.resident import resident
from anonymizers.ranges import Integer, ranged

SIDE = 128
DRAWN = 158
"""Side at which the drawing's lines are one pixel wide: 128 px of a picture of 144 px that had 178."""
WINDOW = 128 / 144 * 178 / 218 * 10
"""Side of what the network sees, in distances between the inner corners of the eyes."""
BLUE, WHITE = (0, 0, 255), 255
BATCH = 8
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape."""


@dataclass(frozen=True)
class Ciagan(Anonymizer):
    """Replace the face, from the brows to the chin, by that of one of 1200 training identities.

    Source: Maximov, Elezi and Leal-Taixé, CIAGAN, CVPR 2020 (https://arxiv.org/abs/2005.09544). Drawing, mask and crop
    are theirs; the crop reaches beyond an aligned one, whose border is repeated there. Hair and background remain.

    Attributes:
        identity: which of the identities of its training is drawn, the same for everyone.
    """

    method: ClassVar[str] = "ciagan"
    needs: ClassVar[tuple[str, ...]] = ("landmarks68",)
    weights: ClassVar[str] = "generation/ciagan.pth"
    weights_from: ClassVar[str] = (
        "its authors link the file modelG.pth in the README of github.com/dvl-tum/ciagan; put it there under that name"
    )
    identity: int = ranged(Integer(0, IDENTITIES - 1), default=0)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Cut out, draw, and put back.

        Raises:
            ValueError: if the network is missing.
        """
        device = faces.images.device
        net = resident(self.weights_file(context.models), device, CiaganGenerator)
        chosen = functional.one_hot(torch.full((BATCH,), self.identity), IDENTITIES).float().to(device)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            images = faces.images[part].float() / 255
            points = faces.signals["landmarks68"][part].to(device)
            middle, side = window(points)
            seen = _sampled(images, _grid(middle, side, SIDE))
            where = (points - middle[:, None]) / side[:, None, None] + 0.5
            drawing, hidden = (torch.stack(maps).to(device) for maps in zip(*map(drawn, where.cpu()), strict=True))
            given = torch.cat((drawing, seen * (1 - hidden)), 1)
            with torch.no_grad():
                face = net(padded(given, BATCH), chosen)[: len(images)]
            back = _back(middle, side, faces.size)
            share = functional.grid_sample(hidden, back, mode="bilinear", padding_mode="zeros", align_corners=False)
            merged = images + share * (_sampled(face.clamp(0, 1), back) - images)
            out[part] = (merged * 255).round_().clamp_(0, 255).to(torch.uint8)
        return out


def window(points: Tensor) -> tuple[Tensor, Tensor]:
    """Place the square that the network sees.

    Args:
        points: (N, 68, 2) float32, px of the 112 px crop.

    Returns:
        its (N, 2) middle and (N,) side, px of the 112 px crop.
    """
    inner = points[:, [39, 42]]
    return inner.mean(1), (inner[:, 1, 0] - inner[:, 0, 0]).clamp_min(1) * WINDOW


def drawn(points: Tensor) -> tuple[Tensor, Tensor]:
    """Draw what the network is told of one face.

    Args:
        points: (68, 2) float32, shares of the window's side.

    Returns:
        (3, 128, 128) float32 in [0, 1], blue lines on white: jaw, bridge of the nose, inner mouth; and (1, 128, 128)
        float32, 1 where the face is replaced: from the jaw up to the brows.
    """
    at = (points * DRAWN).numpy()
    lines = np.full((DRAWN, DRAWN, 3), WHITE, np.uint8)
    for line in (JAW, BRIDGE, INNER_MOUTH):
        cv2.polylines(lines, [at[list(line)].astype(np.int32)], False, BLUE, 1)
    top = np.array([(at[0, 0], at[19, 1]), (at[16, 0], at[24, 1])])
    outline = np.concatenate((top[:1], at[list(JAW)], top[1:]))
    hidden = cv2.fillPoly(np.zeros((DRAWN, DRAWN), np.uint8), [outline.astype(np.int32)], 1)
    small = [cv2.resize(x.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in (lines, hidden)]
    return torch.from_numpy(small[0] / 255).permute(2, 0, 1), torch.from_numpy(small[1]).round()[None]


def _grid(middle: Tensor, side: Tensor, size: int) -> Tensor:
    """Return where the pixels of the window lie in the crop, as grid_sample wants it."""
    at = (torch.arange(size, device=middle.device) + 0.5) / size - 0.5
    offset = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
    return (middle[:, None, None] + side[:, None, None, None] * offset) / TEMPLATE_SIZE * 2 - 1


def _back(middle: Tensor, side: Tensor, size: int) -> Tensor:
    """Return where the pixels of the crop lie in the window."""
    at = (torch.arange(size, device=middle.device) + 0.5) / size * TEMPLATE_SIZE
    pixel = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
    return (pixel - middle[:, None, None]) / side[:, None, None, None] * 2


def _sampled(images: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
