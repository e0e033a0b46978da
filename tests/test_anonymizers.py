"""The contract of every anonymizer, and the classical ones against OpenCV and scikit-image."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from skimage.measure import block_reduce
from torch.nn import functional

from anonymizers import ANONYMIZERS, Anonymizer, Blackout, Blur, Context, Faces, Identity, Pixelate
from anonymizers.regions import mask
from evaluators.demo_nets import load_demo_embedder

CORNERS: list[Anonymizer] = [
    kind(**dict(zip(kind.ranges(), values, strict=True)))
    for kind in ANONYMIZERS.values()
    for values in itertools.product(*(over.corners() for over in kind.ranges().values()))
]


@functools.cache
def embed() -> Callable[[torch.Tensor], torch.Tensor]:
    return load_demo_embedder().embed


def context(anonymizer: Anonymizer, **keywords: int) -> Context:
    return Context(embed=embed() if anonymizer.needs_embedder else None, **keywords)


@pytest.mark.parametrize("anonymizer", CORNERS, ids=repr)
def test_contract(anonymizer: Anonymizer, faces: Faces) -> None:
    faces = faces.take(range(6)) if anonymizer.needs_embedder else faces
    before = faces.images.clone()
    released = anonymizer(faces, context(anonymizer, seed=3))
    assert torch.equal(faces.images, before)
    assert released.untyped_storage().data_ptr() != faces.images.untyped_storage().data_ptr()
    assert released.device == faces.images.device
    assert released.shape == faces.images.shape
    assert released.dtype == torch.uint8
    for batch_size in (1, 7, 128):
        assert torch.equal(released, anonymizer(faces, context(anonymizer, seed=3, batch_size=batch_size)))
    assert eval(repr(anonymizer), {kind.__name__: kind for kind in ANONYMIZERS.values()}) == anonymizer


@pytest.mark.parametrize("anonymizer", CORNERS, ids=repr)
def test_a_configuration_means_the_same_at_every_size(anonymizer: Anonymizer, faces: Faces) -> None:
    # k-Same needs 50 people in its corners, and exact doubling: interpolation turns near-ties between neighbors.
    k_same = anonymizer.method == "k_same"
    small = faces.take(range(0, 120, 2) if k_same else range(4))
    mode = "nearest" if k_same else "bilinear"
    doubled = functional.interpolate(small.images.float(), scale_factor=2, mode=mode).round().to(torch.uint8)
    if anonymizer.needs_embedder:  # a pattern of signs turns on rounding; what must be equal is what it achieves
        cosines = []
        for some in (small, replace(small, images=doubled)):
            released = anonymizer(some, context(anonymizer))
            cosines.append((embed()(some.images) * embed()(released)).sum(1).mean())
        assert abs(cosines[0] - cosines[1]) < 0.15
        return
    large = anonymizer(replace(small, images=doubled), Context())
    shrunk = functional.interpolate(large.float(), scale_factor=0.5, mode="area")
    assert (shrunk - anonymizer(small, Context()).float()).abs().mean() < 3


@pytest.mark.parametrize("kind", ANONYMIZERS.values(), ids=lambda kind: kind.method)
def test_a_value_outside_its_range_is_refused(kind: type[Anonymizer]) -> None:
    for name, over in kind.ranges().items():
        with pytest.raises(ValueError, match=f"{kind.method}.{name}"):
            kind(**{**{n: o.corners()[0] for n, o in kind.ranges().items()}, name: "nonsense"})
        if hasattr(over, "high"):
            with pytest.raises(ValueError, match="expected one of"):
                kind(**{**{n: o.corners()[0] for n, o in kind.ranges().items()}, name: over.high + 1})


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
