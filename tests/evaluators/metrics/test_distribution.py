"""Distances of distributions against torchmetrics, and against Gaussians whose distance is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from evaluators.metrics.distribution import frechet, kid


class Pixels(nn.Module):
    """Features that are the pixels: torchmetrics then measures what it is given."""

    num_features = 48

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()


def pictures(n: int, shift: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, 3, 4, 4, generator=generator) * (1 + shift) + shift).double()


@pytest.mark.parametrize(("n", "m"), [(400, 300), (30, 20), (30, 400)])
def test_frechet_is_torchmetrics(n: int, m: int) -> None:
    a, b = pictures(n, 0.0, 0), pictures(m, 0.5, 1)
    theirs = FrechetInceptionDistance(feature=Pixels(), normalize=True).set_dtype(torch.float64)
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    assert frechet(a.flatten(1), b.flatten(1)) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_kid_is_torchmetrics_over_all_pairs() -> None:
    a, b = pictures(80, 0.0, 0), pictures(80, 0.2, 1)
    theirs = KernelInceptionDistance(feature=Pixels(), subsets=1, subset_size=80, normalize=True)
    theirs.update(a.float(), real=True)
    theirs.update(b.float(), real=False)
    assert kid(a.flatten(1), b.flatten(1)) == pytest.approx(float(theirs.compute()[0]), rel=1e-3)


def test_equal_sets_are_at_distance_zero_and_a_shift_adds_its_square() -> None:
    a = pictures(100, 0.0, 0).flatten(1)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + 0.5) == pytest.approx(48 * 0.25, rel=1e-9)
