"""Refined: an average of other people, drawn over by a network as one other person who makes the same face.

The average is that of `donors`, which see Newton et al. 2005, Gross et al. 2006 and Meng et al. 2014; that a network is
taught by what others read from the faces that it draws follows Hinton et al. 2015 (https://arxiv.org/abs/1503.02531),
and that one identity is put on a face of another Hukkelås et al. 2019 (https://arxiv.org/abs/1909.04538).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, of_face, padded
from anonymizers.classical.averaging.bank import CODE, LANDMARKS
from anonymizers.classical.averaging.donors import Donors
from anonymizers.faces import Faces
from anonymizers.generative.generator import WEIGHTS
from anonymizers.generative.nets.noisy_unet import SIDE
from anonymizers.generative.nets.refining_unet import RefiningUNet, corrected
from anonymizers.generative.resident import opened, recipe_of, refuse_trained_on, resident, trained_network
from anonymizers.ranges import Integer, Real, ranged

BATCH = 16
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape."""


@dataclass(frozen=True)
class Refined(Anonymizer):
    """Release the donors' average of a face, with the correction that makes another person of it.

    What the network sees is the average, the code that chose the donors, and an identity from the distribution of the
    training people's embeddings, drawn for every picture without a look at the face. Two faces with equal codes and
    equal draws get equal pictures; no pixel and no landmark of the face enters.

    Attributes:
        k: donors, different people.
        axes: principal axes of the expressions that are left of the code, see `Donors`; the network is told no more.
        noise: normal noise on the code, in its deviations over the background.
        spread: of the identities that are drawn, in that of the training people's; at 0 everybody gets their mean.
        strength: of the correction; 0 leaves the average, but for black and white, which stay a gray level away.
    """

    method: ClassVar[str] = "refined"
    needs: ClassVar[tuple[str, ...]] = CODE
    background_needs: ClassVar[tuple[str, ...]] = (*CODE, LANDMARKS)
    weights_from: ClassVar[str] = "train it with python -m orchestrator.train --space refined"
    k: int = ranged(Integer(2, 100, unit="people", log=True), default=20)
    axes: int = ranged(Integer(2, 52, log=True), default=52)
    noise: float = ranged(Real(0.0, 2.0, unit="deviations"), default=0.0)
    spread: float = ranged(Real(0.0, 1.0, unit="deviations"), default=1.0)
    strength: float = ranged(Real(0.0, 1.0), default=1.0)

    def network(self, models: Path | None) -> Path:
        """Return the file of the network: for photographs that in `generator/` of the models, else the project's.

        Raises:
            ValueError: if it is missing.
        """
        return trained_network(WEIGHTS, self.method, models, repr(self), self.weights_from)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Average, draw an identity, correct.

        Raises:
            ValueError: if the network is missing, was trained on one of these people or on codes of another kind, or
                the background cannot serve, see `Donors`.
        """
        path = self.network(context.models)
        refuse_trained_on(path, faces.key, repr(self))
        donors = Donors(k=self.k, axes=self.axes, noise=self.noise)
        bank = donors.bank(faces, context)
        codes = bank.measured(donors.codes(bank, faces, context))
        net = load_refining(path, faces.images.device)
        dimension, numbers = len(net.get_buffer("identity_mean")), len(net.get_buffer("code_center"))
        if codes.shape[1] != numbers:
            raise ValueError(
                f"{self!r}: expected faces whose code has {numbers} numbers, as those that {path.name} "
                f"was trained on, got {codes.shape[1]}; train it with these signals"
            )
        averages = donors(faces, context)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            average = averages[part].float() / 255
            draws = [of_face(key, context.seed, "refined") for key in faces.key[part]]
            noise = torch.stack([torch.randn(dimension, generator=draw) for draw in draws])
            target = net.identities(padded(noise, BATCH), self.spread)
            seen = average
            if faces.size != SIDE:
                seen = functional.interpolate(average, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            with torch.no_grad():
                correction = net(padded(seen, BATCH), target, net.standardized(padded(codes[part], BATCH)))
            correction = self.strength * correction[: len(average)]
            if faces.size != SIDE:
                correction = functional.interpolate(correction, size=(faces.size, faces.size), mode="bilinear")
            out[part] = (corrected(average, correction) * 255).round_().clamp_(0, 255).to(torch.uint8)
        return out


def load_refining(path: Path, device: torch.device) -> RefiningUNet:
    """Return the network of a file that `python -m orchestrator.train` wrote, read once per device.

    Raises:
        ValueError: if it is no such file, or names and shapes are not those of its recipe.
    """
    recipe = recipe_of(path)
    shape = {"code": opened(path, _code), "dimension": recipe["dimension"], "width": recipe["width"]}
    net = resident(path, device, RefiningUNet, **shape)
    assert isinstance(net, RefiningUNet)
    return net


def _code(path: str) -> int:
    with safe_open(path, "pt") as file:
        return int(file.get_slice("code_center").get_shape()[0])
