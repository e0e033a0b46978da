"""Noise: its distribution, its epsilon by the convention that it cites, and what undoes it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from anonymizers import Context, Noise
from evaluators.attackers.learning import inverse
from tests.conftest import smooth_faces


@pytest.mark.parametrize(("kind", "theirs"), [("gaussian", stats.norm()), ("laplace", stats.laplace(0, 2**-0.5))])
def test_the_noise_is_what_it_is_called(kind: str, theirs: stats.rv_continuous) -> None:
    faces = smooth_faces(4, 1)
    gray = replace(faces, images=torch.full_like(faces.images, 128))
    added = Noise(deviation=20.0, kind=kind)(gray, Context(seed=3)).double().flatten() - 128
    assert abs(float(added.mean())) < 0.2 and abs(float(added.std()) - 20) < 0.3
    for at in (-40.5, -10.5, 0.5, 15.5, 50.5):  # what was rounded lies between the halves
        assert float((added < at).double().mean()) == pytest.approx(theirs.cdf(at / 20), abs=0.005)


def test_every_face_and_pixel_has_its_own() -> None:
    some = smooth_faces(3, 1)
    same = replace(some, images=torch.full_like(some.images, 128))
    first, second, _ = Noise()(same, Context(seed=1)).double()
    correlation = torch.corrcoef(torch.stack((first.flatten(), second.flatten(), first.roll(1, 2).flatten())))
    assert (correlation - torch.eye(3)).abs().max() < 0.02
    assert not torch.equal(first, Noise()(same, Context(seed=2))[0].double())


def test_epsilon_is_the_largest_log_ratio_of_one_pixels_densities() -> None:
    noise = Noise(deviation=60.0, kind="laplace")
    law = stats.laplace(0, 60 / math.sqrt(2))
    ratios = [law.logpdf(y) - law.logpdf(y - 255) for y in range(-2000, 2000, 5)]  # a pixel of 0 and one of 255
    assert noise.epsilon == pytest.approx(max(ratios), rel=1e-6)
    assert Noise(kind="gaussian").epsilon is None


@pytest.mark.parametrize("deviation", [30.0, 300.0])
def test_he_who_knows_how_strong_it_is_takes_most_of_it_off(deviation: float) -> None:
    faces = smooth_faces(200, 1)
    noise = Noise(deviation=deviation)
    released = noise(faces, Context())
    linear = noise.linear(112, 1.0)
    undo = inverse.fit(linear, inverse.prior_of(faces.images[:150]), faces.images[:150], released[:150])

    def error(images: torch.Tensor) -> float:
        return float((images[150:].float() - faces.images[150:].float()).square().mean())

    assert error(undo(released)) < 0.15 * error(released)
