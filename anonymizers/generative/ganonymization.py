from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, padded
from anonymizers.faces import Faces
from anonymizers.generative.conditioning import dots
from anonymizers.generative.nets.pix2pix import Pix2PixUNet
from anonymizers.generative.resident import resident

SIDE = 512
BATCH = 2
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape."""


@dataclass(frozen=True)
class Ganonymization(Anonymizer):
    """Draw a face from nothing but a dense cloud of landmarks.

    Source: Hellmann et al., GANonymization: a GAN-based face anonymization framework for preserving emotional
    expressions, ACM TOMM 2024 (https://doi.org/10.1145/3641107). The drawing is theirs: 478 white dots of one pixel on
    black, 512 px; here the dots lie as in the aligned crop, which is tighter than their crop of the head.
    """

    method: ClassVar[str] = "ganonymization"
    needs: ClassVar[tuple[str, ...]] = ("landmarks478",)
    weights: ClassVar[str] = "generation/ganonymization.ckpt"
    weights_from: ClassVar[str] = (
        "its authors link the checkpoints of 25 and 50 epochs in the README of github.com/hcmlab/GANonymization; put "
        "one there under that name"
    )

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Draw the dots, then the face.

        Raises:
            ValueError: if the network is missing.
        """
        device = faces.images.device
        net = resident(self.weights_file(context.models), device, Pix2PixUNet, "generator.")
        points = faces.signals["landmarks478"].to(device)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            few = points[part]
            drawing = dots(padded(few, BATCH), SIDE) * 2 - 1
            with torch.no_grad():
                drawn = net(drawing.expand(-1, 3, -1, -1))[: len(few)]
            size = (faces.size, faces.size)
            small = functional.interpolate(drawn, size=size, mode="bilinear", antialias=faces.size < SIDE)
            out[part] = ((small + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        return out
