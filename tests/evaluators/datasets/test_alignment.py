from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from insightface.utils import face_align
from skimage.transform import SimilarityTransform

from evaluators.datasets.alignment import TEMPLATE, align, similarity


def some_landmarks(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-0.7, 0.7), rng.uniform(0.4, 3.0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((TEMPLATE - 56) @ turn.T + rng.uniform(100, 200, 2) + rng.normal(0, 3, (5, 2))).astype(np.float32)


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("seed", range(5))
def test_similarity_is_umeyamas(seed: int, size: int) -> None:
    landmarks = some_landmarks(seed)
    other = SimilarityTransform.from_estimate(landmarks, TEMPLATE * size / 112).params[:2]
    np.testing.assert_allclose(similarity(landmarks, size), other, atol=1e-4)


def test_a_known_similarity_comes_back() -> None:
    # Twice the template, turned by a quarter and shifted: the way back halves, turns and shifts.
    landmarks = 2 * TEMPLATE @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [300.0, 10.0]
    back = similarity(landmarks)
    np.testing.assert_allclose(landmarks @ back[:, :2].T + back[:, 2], TEMPLATE, atol=1e-9)
    assert np.linalg.det(back[:, :2]) == pytest.approx(0.25)


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("seed", range(5))
def test_the_crop_is_insightfaces(seed: int, size: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    picture = np.asarray(cv2.resize(noise, (320, 300), interpolation=cv2.INTER_CUBIC))
    landmarks = some_landmarks(seed)
    other = face_align.norm_crop(picture, landmarks, size)
    mine = align(picture, landmarks, size)
    assert mine.shape == (size, size, 3) and mine.dtype == np.uint8
    # Bilinear weights have five bits in OpenCV: where the matrices differ in the last digits, a weight may round away.
    away = np.abs(mine.astype(int) - other)
    assert away.max() <= 8 and (away > 1).mean() < 1e-3, (away.max(), (away > 1).mean())


def test_the_picture_is_left_as_it_was() -> None:
    picture = torch.randint(0, 256, (200, 200, 3), dtype=torch.uint8).numpy()
    before = picture.copy()
    align(picture, some_landmarks(0))
    assert (picture == before).all()


def test_beyond_the_picture_it_is_black() -> None:
    white = np.full((60, 60, 3), 255, dtype=np.uint8)
    crop = align(white, TEMPLATE.astype(np.float32))
    assert (crop[:59, :59] == 255).all() and (crop[61:] == 0).all() and (crop[:, 61:] == 0).all()
