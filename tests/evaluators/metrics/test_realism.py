from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from evaluators.metrics import realism
from evaluators.networks.roles import Found


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, smooth, nearly equal, flat bright, black against white, and equal pictures; not square."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (17, 3, 40, 33), dtype=torch.uint8, generator=generator)
    ramp = torch.linspace(0, 255, 33).expand(3, 40, 33).to(torch.uint8)
    other = torch.randint(0, 256, noise.shape, dtype=torch.uint8, generator=generator)
    noise[0], other[0] = ramp, ramp.flip(-1)
    noise[1], other[1] = ramp, (ramp.int() + 2).clamp(0, 255).to(torch.uint8)
    noise[2], other[2] = 250, 251
    noise[3], other[3] = 0, 255
    other[4] = noise[4]
    other[5] = (noise[5].float() * 0.9).to(torch.uint8)
    return noise, other


def test_ssim_is_skimages_and_torchmetrics() -> None:
    original, anonymized = pictures()
    found = realism.ssim(anonymized, realism.ssim_statistics(original))
    assert found.dtype == torch.float32
    for a, b, value in zip(original.numpy(), anonymized.numpy(), found.tolist(), strict=True):
        expected = structural_similarity(
            a / 255,
            b / 255,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        assert value == pytest.approx(expected, abs=1e-5)
    # torchmetrics averages over borders with mirrored pixels too; skimage and this project over whole windows only.
    _, maps = structural_similarity_index_measure(
        anonymized.double() / 255, original.double() / 255, data_range=1.0, reduction="none", return_full_image=True
    )
    assert maps.shape == original.shape
    assert torch.allclose(found.double(), maps[..., 5:-5, 5:-5].mean((1, 2, 3)), atol=1e-5)
    assert found[4] == pytest.approx(1, abs=1e-6)


def test_ssim_of_a_picture_does_not_depend_on_its_neighbors() -> None:
    original, anonymized = pictures()
    together = realism.ssim(anonymized, realism.ssim_statistics(original))
    alone = realism.ssim(anonymized[16:], realism.ssim_statistics(original[16:]))
    assert torch.allclose(together[16:], alone, atol=1e-6)


def test_mse_and_psnr_are_skimages() -> None:
    original, anonymized = pictures()
    before = original.clone(), anonymized.clone()
    found = realism.mse(original, anonymized)
    for a, b, value in zip(original.numpy(), anonymized.numpy(), found.tolist(), strict=True):
        assert value == pytest.approx(mean_squared_error(a / 255, b / 255), rel=1e-5, abs=1e-12)
    assert found[3] == 1
    assert realism.psnr(float(found[0])) == pytest.approx(
        peak_signal_noise_ratio(original[0].numpy(), anonymized[0].numpy(), data_range=255), abs=1e-4
    )
    assert realism.psnr(1.0) == 0
    assert realism.psnr(0.0) is None
    assert math.isclose(realism.psnr(0.01) or 0, 20)
    assert torch.equal(original, before[0]) and torch.equal(anonymized, before[1])


def test_what_cannot_be_compared_is_refused() -> None:
    original, _ = pictures()
    with pytest.raises(ValueError, match="keep number and size"):
        realism.mse(original, original[:3])
    with pytest.raises(ValueError, match="keep number and size"):
        realism.ssim(original[..., :20], realism.ssim_statistics(original))
    with pytest.raises(ValueError, match="at least 11 x 11"):
        realism.ssim_statistics(original[..., :10])


def test_five_scales_need_161_pixels_and_fall_with_blur() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 3, 12, 12, generator=generator)
    images = (torch.nn.functional.interpolate(coarse, (176, 176), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)
    assert realism.ms_ssim(images[..., :160, :160], images[..., :160, :160]) is None
    same = realism.ms_ssim(images, images)
    assert same is not None
    torch.testing.assert_close(same, torch.ones(3))
    means = []
    for kernel in (5, 31):
        blurred = torch.from_numpy(
            np.stack([cv2.GaussianBlur(i.permute(1, 2, 0).numpy(), (kernel, kernel), 0) for i in images])
        ).permute(0, 3, 1, 2)
        value = realism.ms_ssim(blurred, images)
        assert value is not None
        means.append(float(value.mean()))
    assert 1 > means[0] > means[1] > 0


def test_landmark_error_is_a_share_of_the_distance_of_the_eyes() -> None:
    points = torch.tensor([[38.0, 50.0], [74.0, 50.0], [56.0, 70.0], [42.0, 92.0], [70.0, 92.0]])
    before = Found(torch.tensor([True, True, False]), points.repeat(3, 1, 1))
    moved = points.repeat(3, 1, 1)
    moved[0, :, 0] += 3.6  # a tenth of the 36 px between the eyes
    moved[1:] += 1000.0  # not found both times: no part of the mean
    assert realism.landmark_nme(before, Found(torch.tensor([True, False, True]), moved)) == pytest.approx(0.1, rel=1e-5)
    assert realism.landmark_nme(before, Found(torch.zeros(3, dtype=torch.bool), moved)) is None
