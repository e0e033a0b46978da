"""Classical methods against OpenCV and scikit-image, and by construction."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import torch
from skimage.measure import block_reduce

from anonymizers import Anonymizer, Blackout, Blur, Context, Faces, Identity, Pixelate
from anonymizers.classical.regions import mask


@pytest.mark.parametrize("kernel", [3, 11, 21, 31, 51, 71, 101])
def test_blur_equals_opencv(kernel: int, faces: Faces) -> None:
    few = faces.take(range(3))
    ours = Blur(kernel=kernel)(few, Context())
    for original, blurred in zip(few.images, ours, strict=True):
        theirs = cv2.GaussianBlur(original.permute(1, 2, 0).numpy(), (kernel, kernel), 0)
        assert np.abs(theirs.astype(int) - blurred.permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize("block", [2, 4, 8, 16, 28, 56])
def test_pixelate_equals_scikit_image(block: int, faces: Faces) -> None:
    few = faces.take(range(3))
    for original, blocks in zip(few.images, Pixelate(block=block)(few, Context()), strict=True):
        means = block_reduce(original.numpy().astype(float), (1, block, block), np.mean)
        theirs = means.repeat(block, 1).repeat(block, 2)
        assert np.abs(theirs - blocks.numpy()).max() <= 0.51


@pytest.mark.parametrize("block", [3, 12, 24, 50])
def test_pixelate_cuts_the_last_block(block: int, faces: Faces) -> None:
    original = faces.images[0].double()
    released = Pixelate(block=block)(faces.take([0]), Context())[0].double()
    for top, left in itertools.product(range(0, 112, block), repeat=2):
        part = (slice(None), slice(top, top + block), slice(left, left + block))
        mean = original[part].mean((1, 2), keepdim=True).expand_as(released[part])
        assert (released[part] - mean).abs().max() <= 0.51


def test_blackout_and_identity(faces: Faces) -> None:
    assert not Blackout()(faces, Context()).any()
    assert torch.equal(Identity()(faces, Context()), faces.images)


@pytest.mark.parametrize("anonymizer", [Blur(kernel=51, region="face"), Blackout(region="face")], ids=repr)
def test_outside_the_face_nothing_changes(anonymizer: Anonymizer, faces: Faces) -> None:
    inside = mask("face", 112, faces.images.device)
    assert 0.5 < inside.double().mean() < 0.7
    assert inside[52, 38]  # the left eye of the template
    assert inside[92, 71]  # its right mouth corner
    changed = anonymizer(faces, Context())
    assert torch.equal(changed[..., ~inside], faces.images[..., ~inside])
    assert not torch.equal(changed[..., inside], faces.images[..., inside])
