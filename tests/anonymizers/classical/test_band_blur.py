"""Bands by OpenCV's Gaussians; a loss on the expression reaches the gains, and none reaches through a blackout."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from anonymizers import BandBlur, Blackout, Context, Faces
from anonymizers.classical.band_blur import EDGES, recombine
from evaluators.demo.nets import load_demo_teacher

GAINS = (0.0, 0.3, 1.0, 0.5)


def test_with_all_bands_nothing_changes_and_with_none_all_is_grey(faces: Faces) -> None:
    few = faces.take(range(3))
    assert torch.equal(BandBlur(1.0, 1.0, 1.0, 1.0)(few, Context()), few.images)
    assert BandBlur(0.0, 0.0, 0.0, 0.0)(few, Context()).unique().tolist() == [128]


def test_bands_are_differences_of_opencvs_gaussians(faces: Faces) -> None:
    few = faces.take(range(3))
    ours = BandBlur(*GAINS)(few, Context())
    for original, released in zip(few.images, ours, strict=True):
        picture = original.permute(1, 2, 0).numpy().astype(np.float64)
        levels = [picture]
        for sigma in EDGES:
            width = 2 * round(4 * sigma) + 1
            levels.append(cv2.GaussianBlur(picture, (width, width), sigma))
        bands = [*(a - b for a, b in itertools.pairwise(levels)), levels[-1] - 127.5]
        theirs = 127.5 + sum(gain * band for gain, band in zip(GAINS, bands, strict=True))
        assert np.abs(theirs.clip(0, 255) - released.permute(1, 2, 0).numpy()).max() <= 0.51


def test_a_loss_on_the_expression_reaches_the_gains_and_lowers_itself(faces: Faces) -> None:
    images = faces.images[:16].float()
    module = load_demo_teacher().module
    wanted = module(images / 255).softmax(1)
    gains = torch.full((4,), 0.5, requires_grad=True)

    def loss(gains: torch.Tensor) -> torch.Tensor:
        answer = module(recombine(images, gains) / 255).log_softmax(1)
        return functional.kl_div(answer, wanted, reduction="batchmean")

    before = loss(gains)
    (slope,) = torch.autograd.grad(before, gains)
    assert slope.abs().min() > 0
    assert loss((gains - 0.02 * slope / slope.norm()).detach()) < before


def test_no_gradient_passes_a_blackout(faces: Faces) -> None:
    """What a black picture shows is the same whatever was there: its slope is zero, by construction and by measure."""
    few = faces.take(range(4))
    other = Faces(255 - few.images, few.identity, few.expression, few.key)
    assert torch.equal(Blackout()(few, Context()), Blackout()(other, Context()))
    images = few.images.float().requires_grad_()
    black = recombine(images, torch.zeros(4))
    assert float(torch.autograd.grad(black.sum(), images)[0].abs().max()) == 0


def test_each_gain_is_named_in_its_refusal() -> None:
    with pytest.raises(ValueError, match=r"band_blur\.middle"):
        BandBlur(0.0, 0.0, 1.5, 0.0)
