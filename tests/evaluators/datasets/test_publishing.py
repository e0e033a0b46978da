"""Publishing: pictures as they are after compression and scaling, the same that PIL and scikit-image make."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.transform import downscale_local_mean

from anonymizers import Blur, Context, Faces
from evaluators.attackers.evidence import Evidence
from evaluators.datasets.publishing import is_publishing, publishing, scaled
from tests.conftest import smooth_faces


def test_png_is_what_it_was() -> None:
    assert publishing("png") is None


def test_a_jpeg_is_pils() -> None:
    images = smooth_faces(3, 1).images
    publish = publishing("jpeg:85")
    assert publish is not None
    out = publish(images)
    for image, found in zip(images, out, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=85)
        assert np.array_equal(np.array(Image.open(file)), found.permute(1, 2, 0).numpy())
    assert 0 < (out.float() - images.float()).abs().mean() < 5


def test_half_the_side_is_the_mean_of_four_pixels() -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    constant = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    assert torch.equal(scaled(constant, 0.5), constant)
    out = scaled(images, 0.5).float().numpy()
    small = np.stack([downscale_local_mean(one, (1, 2, 2)) for one in images.float().numpy()])
    assert abs(out.mean() - small.mean()) < 1 and out.std() < images.float().numpy().std()
    assert scaled(images, 0.001).float().std((2, 3)).max() == 0  # one pixel


@pytest.mark.parametrize(
    "text", ["", "gif", "jpeg", "jpeg:0", "jpeg:101", "scale:0", "scale:1", "scale:2", "scale:0.0", "png "]
)
def test_another_way_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--publish: expected png, jpeg:QUALITY .* got"):
        publishing(text)
    assert not is_publishing(text)


@pytest.mark.parametrize("text", ["jpeg:1", "jpeg:85", "jpeg:100", "scale:0.5", "scale:.25"])
def test_the_command_line_knows_what_can_be_done(text: str) -> None:
    assert is_publishing(text) and publishing(text) is not None


def test_everybody_sees_the_published_pictures() -> None:
    faces = smooth_faces(4, 1)

    class Clear:
        probe = gallery = attacker = faces

        def told(self, needs: tuple[str, ...], measures: object) -> Faces:
            return faces

    class Nets:
        models, differentiable, signals = None, None, None

    method = Blur(kernel=11)
    evidence = Evidence(method, Clear(), Nets(), seed=0, batch_size=8, publish=publishing("jpeg:50"))  # type: ignore[arg-type]
    publish = publishing("jpeg:50")
    assert publish is not None
    expected = publish(method(faces, Context()))
    assert torch.equal(evidence.probe, expected) and torch.equal(evidence.gallery, expected)
    assert torch.equal(evidence.attacker, expected)
