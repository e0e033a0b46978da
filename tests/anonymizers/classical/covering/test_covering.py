"""What covers: which pixels, with what."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anonymizers import Context, EyeBar, Mask
from anonymizers.classical import regions
from evaluators.demo.geometry import TEMPLATE
from tests.conftest import smooth_faces


@pytest.mark.parametrize(("height", "width", "size"), [(20, 80, 112), (4, 40, 112), (64, 112, 112), (20, 80, 224)])
def test_the_bar_covers_the_eyes_and_nothing_else(height: int, width: int, size: int) -> None:
    drawn = smooth_faces(3, 1, size=size)
    faces = replace(drawn, images=drawn.images | 1)  # nothing else is black
    released = EyeBar(height=height, width=width)(faces, Context())
    black = (released == 0).all(1)
    assert torch.equal(black[0], black[1])
    scale = size / 112
    for x, y in TEMPLATE[:2]:
        assert black[0, int(y * scale), int(x * scale)]
    rows, columns = black[0].any(1).sum(), black[0].any(0).sum()
    assert abs(rows / scale - height) <= 1 and abs(columns / scale - width) <= 1
    assert int(black[0].sum()) == rows * columns
    assert torch.equal(released[:, :, ~black[0]], faces.images[:, :, ~black[0]])
    for x, y in TEMPLATE[2:]:
        assert height > 40 or not black[0, int(y * scale), int(x * scale)]


@pytest.mark.parametrize("region", ["crop", "face"])
def test_a_mask_is_flat_and_tells_the_mean_or_nothing(region: str) -> None:
    faces = smooth_faces(4, 1)
    inside = regions.mask(region, 112, faces.images.device)
    gray, own = (Mask(color=color, region=region)(faces, Context()) for color in ("gray", "own"))
    for released in (gray, own):
        covered = released[:, :, inside]
        assert torch.equal(covered, covered[:, :, :1].expand_as(covered))
        assert torch.equal(released[:, :, ~inside], faces.images[:, :, ~inside])
    assert (gray[:, :, inside] == 128).all()
    means = faces.images[:, :, inside].double().mean(2)
    assert (own[:, :, inside][:, :, 0].double() - means).abs().max() <= 0.5
