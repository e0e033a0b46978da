"""The inverse of what is mixed linearly: what methods say of themselves, the exact answer, and faces that come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from anonymizers import ANONYMIZERS, Anonymizer, BandBlur, Blur, Context, Faces, Identity, Pixelate
from anonymizers.classical.blur import gaussian
from anonymizers.linear import Linear
from evaluators.attackers.learning.inverse import Inverse, Prior, _separable, fit, prior_of
from tests.conftest import smooth_faces

LINEAR = [
    Identity(),
    Blur(kernel=31),
    Blur(kernel=51, region="face"),
    Pixelate(block=8),
    Pixelate(block=12, region="face"),
    BandBlur(fine=0.0, detail=0.1, middle=0.5, coarse=0.8),
]


def released(method: Anonymizer, faces: Faces) -> torch.Tensor:
    return method(faces, Context())


def linear_of(method: Anonymizer, faces: Faces) -> Linear:
    linear = method.linear(faces.size, faces.scale)
    assert linear is not None
    return linear


@pytest.mark.parametrize("size", [112, 96])
@pytest.mark.parametrize("method", LINEAR, ids=repr)
def test_a_method_mixes_what_it_says(method: Anonymizer, size: int) -> None:
    faces = smooth_faces(3, 1, size=size)
    linear = linear_of(method, faces)
    mixed = torch.where(linear.region, linear(faces.images.float()), faces.images.float())
    assert (mixed - released(method, faces)).abs().max() <= 0.51  # rounded


def test_nobody_else_says_that_he_mixes_linearly() -> None:
    said = {name for name, method in ANONYMIZERS.items() if method.linear is not Anonymizer.linear}
    assert said == {"identity", "blur", "pixelate", "band_blur", "noise"}


def test_the_estimate_is_the_most_likely_picture() -> None:
    """The dense normal equations, solved by numpy, for pictures small enough to write all covariances down."""
    size, noise = 6, 3.0
    generator = np.random.default_rng(0)

    def covariance() -> Any:
        root = generator.normal(size=(size, size))
        return root @ root.T

    rows, columns, mean = covariance(), covariance(), generator.normal(size=(3, size, size))
    operator = generator.normal(size=(size, size))
    y = generator.normal(size=(3, size, size)) * 50
    mixing, prior = np.kron(operator, operator), np.kron(rows, columns)
    gain = prior @ mixing.T @ np.linalg.inv(mixing @ prior @ mixing.T + noise * np.eye(size**2))
    expected = [mean[c].ravel() + gain @ (y[c].ravel() - mixing @ mean[c].ravel()) for c in range(3)]
    tensors = [torch.from_numpy(part) for part in (mean, rows, columns)]
    said = Prior(tensors[0].float(), tensors[1], tensors[2])
    linear = Linear((torch.from_numpy(operator).float(),), (1.0,), 0.0, torch.ones(size, size, dtype=torch.bool))
    inverse = Inverse(linear, said.mean, *_separable(linear, said)(noise), noise)
    found = inverse._once(torch.from_numpy(y)[None].float())[0]
    np.testing.assert_allclose(found.numpy().reshape(3, -1), np.stack(expected), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("method", LINEAR, ids=repr)
def test_strangers_come_back_nearer_than_they_were_released(method: Anonymizer) -> None:
    known, strangers = smooth_faces(60, 2, seed=1), smooth_faces(10, 1, seed=2)
    linear, out = linear_of(method, strangers), released(method, strangers)
    inverse = fit(linear, prior_of(known.images), known.images, released(method, known))
    undone = inverse(out)
    error = (undone.float() - strangers.images.float()).square().mean()
    before = (out.float() - strangers.images.float()).square().mean()
    assert undone.dtype == torch.uint8 and undone.shape == out.shape
    assert error <= 0.5 * before + 0.5
    outside = ~linear.region
    assert torch.equal(undone[..., outside], out[..., outside])  # what was never changed is not touched


def test_several_blurs_of_weight_nothing_are_one() -> None:
    known, strangers = smooth_faces(60, 2, seed=1), smooth_faces(10, 1, seed=2)
    everywhere = torch.ones(112, 112, dtype=torch.bool)
    one = gaussian(112, 4.0)
    out = (one @ strangers.images.float() @ one.T).round().to(torch.uint8)
    train = (one @ known.images.float() @ one.T).round().to(torch.uint8)
    several = Linear((torch.eye(112), one), (0.0, 1.0), 0.0, everywhere)
    undone = fit(several, prior_of(known.images), known.images, train)(out)
    error = (undone.float() - strangers.images.float()).square().mean()
    assert error < 0.5 * (out.float() - strangers.images.float()).square().mean()
