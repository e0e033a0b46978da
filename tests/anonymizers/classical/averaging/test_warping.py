"""Warping: triangles against scikit-image's piecewise affine transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.transform import PiecewiseAffineTransform
from skimage.transform import warp as skimage_warp

from anonymizers import Faces
from anonymizers.classical.averaging.warping import locate, triangles_of, warp, with_frame


@pytest.fixture(scope="module")
def shapes(told: Faces) -> torch.Tensor:
    """Return (4, 100, 2) points of four rendered faces, the frame's among them."""
    return with_frame(told.signals["landmarks68"][::3])


@pytest.mark.parametrize("size", [112, 160])
def test_every_pixel_moves_as_scikit_image_moves_it(shapes: torch.Tensor, size: int) -> None:
    target, sources = shapes[0], shapes[1:]
    located = locate(target[None], triangles_of(target), size)
    at = torch.arange(size, dtype=torch.float64) + 0.5
    pixels = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).view(-1, 2).numpy() * 112 / size
    for source in sources:
        theirs = PiecewiseAffineTransform.from_estimate(target.double().numpy(), source.double().numpy())
        corners = source[located.vertices[0]]
        ours = (corners * located.weights[0][..., None]).sum(2).view(-1, 2)
        # Delaunay's triangles differ from run to run only where four points lie on a circle, as the frame's do.
        error = np.abs(theirs(pixels) - ours.numpy()).max(1)
        assert np.quantile(error, 0.99) < 1e-3 and np.isfinite(error).all()


def test_pictures_are_those_of_scikit_image(told: Faces, shapes: torch.Tensor) -> None:
    target, source = shapes[0], shapes[1]
    image = told.images[3:4].float()
    ours = warp(image, source[None], locate(target[None], triangles_of(target), 112))[0]
    # Theirs counts from the middle of the first pixel.
    transform = PiecewiseAffineTransform.from_estimate(target.double().numpy() - 0.5, source.double().numpy() - 0.5)
    theirs = skimage_warp(image[0].permute(1, 2, 0).double().numpy(), transform, order=3, mode="edge")
    difference = (ours.permute(1, 2, 0).double() - torch.from_numpy(theirs)).abs()
    assert difference.mean() < 1.0  # of 255; cubic interpolation differs in its kernel
    assert (difference.mean(2) > 20).double().mean() < 0.005


def test_a_picture_moved_to_its_own_points_stays(told: Faces, shapes: torch.Tensor) -> None:
    image = told.images[:1].float()
    same = warp(image, shapes[:1], locate(shapes[:1], triangles_of(shapes[0]), 112))
    torch.testing.assert_close(same, image, atol=0.05, rtol=0)


def test_faces_are_located_one_by_one_or_together_alike(shapes: torch.Tensor) -> None:
    triangles = triangles_of(shapes.mean(0))
    together = locate(shapes, triangles, 112)
    for place in range(len(shapes)):
        alone = locate(shapes[place : place + 1], triangles, 112)
        assert torch.equal(alone.vertices[0], together.vertices[place])
        assert torch.equal(alone.weights[0], together.weights[place])


def test_where_triangles_fold_every_pixel_still_has_one(shapes: torch.Tensor) -> None:
    folded = shapes[:1].clone()
    folded[0, 30] = torch.tensor([10.0, 100.0])  # the tip of the nose beyond the jaw
    located = locate(folded, triangles_of(shapes[0]), 112)
    assert located.weights.min() >= -1e-3 and located.weights.max() <= 1 + 1e-3
    torch.testing.assert_close(located.weights.sum(-1), torch.ones(1, 112, 112))
