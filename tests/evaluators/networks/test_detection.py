from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.networks.catalog.conventions import DETECTOR
from evaluators.networks.detection import Detection, Scrfd, main_face
from evaluators.networks.loaders import load_detector
from tests.places import SHARED

LFW = SHARED / "data" / "lfw"
needs_data = pytest.mark.skipif(
    not (SHARED / "models" / DETECTOR).is_file() or not LFW.is_dir(),
    reason="needs the detector and LFW of the test data",
)
PEOPLE = ("Ariel_Sharon", "Gloria_Macapagal_Arroyo", "Serena_Williams", "Vladimir_Putin")


def face(left: float, top: float, right: float, bottom: float, score: float = 0.9) -> Detection:
    return Detection(np.array([left, top, right, bottom], np.float32), score, np.zeros((5, 2), np.float32))


def test_main_face_is_large_and_near_the_middle() -> None:
    middle = face(100, 100, 150, 150)
    assert main_face([face(0, 0, 50, 50, 0.99), middle], 250, 250) is middle  # equal size: the nearer
    large = face(70, 70, 190, 190)
    assert main_face([middle, large], 250, 250) is large  # both in the middle: the larger
    assert main_face([middle], 1000, 20) is middle


@pytest.fixture(scope="module")
def detector() -> Scrfd:
    return load_detector(SHARED / "models", threads=1)


def pictures() -> list[np.ndarray]:
    return [
        np.asarray(Image.open(LFW / name / f"{name}_000{i}.jpg").convert("RGB")) for name in PEOPLE for i in (1, 2, 3)
    ]


@pytest.mark.real
@needs_data
def test_boxes_and_landmarks_are_insightfaces_own(detector: Scrfd) -> None:
    from insightface.model_zoo import get_model

    other = get_model(str(SHARED / "models" / DETECTOR), providers=["CPUExecutionProvider"])
    other.prepare(-1, input_size=(320, 320), det_thresh=0.5)
    for picture in pictures():
        mine = detector.detect(picture)
        boxes, landmarks = other.detect(np.ascontiguousarray(picture[..., ::-1]))
        assert len(mine) == len(boxes) >= 1
        np.testing.assert_allclose([d.box for d in mine], boxes[:, :4], atol=0.01)
        np.testing.assert_allclose([d.score for d in mine], boxes[:, 4], atol=1e-4)
        np.testing.assert_allclose([d.landmarks for d in mine], landmarks, atol=0.01)


@pytest.mark.real
@needs_data
def test_landmarks_agree_with_another_detector(detector: Scrfd) -> None:
    import cv2

    other = cv2.FaceDetectorYN.create(str(SHARED / "models" / "detection" / "yunet.onnx"), "", (250, 250))
    for picture in pictures():
        other.setInputSize(picture.shape[1::-1])
        _, found = other.detect(np.ascontiguousarray(picture[..., ::-1]))
        mine = main_face(detector.detect(picture), picture.shape[1], picture.shape[0])
        away = [np.linalg.norm(row[4:14].reshape(5, 2) - mine.landmarks, axis=1).mean() for row in found]
        between_eyes = np.linalg.norm(mine.landmarks[0] - mine.landmarks[1])
        assert min(away) < 0.15 * between_eyes  # the right eye first, in px of the picture, in both


@pytest.mark.real
@needs_data
def test_aligned_crops_hold_a_face_and_flat_or_noisy_ones_none(detector: Scrfd) -> None:
    from evaluators.datasets.alignment import align, similarity

    faces = [main_face(detector.detect(p), p.shape[1], p.shape[0]).landmarks for p in pictures()]
    crops = [align(p, landmarks) for p, landmarks in zip(pictures(), faces, strict=True)]
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    found = detector(images)
    assert found.found.tolist() == [True] * len(crops)
    # What it finds in the crop is what it found in the picture, moved with the crop.
    moved = np.stack([points @ similarity(points)[:, :2].T + similarity(points)[:, 2] for points in faces])
    away = (found.landmarks - torch.from_numpy(moved).float()).norm(dim=2)
    assert float(away.mean()) < 0.05 * 36  # of the distance of the eyes
    noise = torch.randint(0, 256, (4, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    nothing = torch.cat([torch.zeros_like(noise), torch.full_like(noise, 127), torch.full_like(noise, 255), noise])
    assert not detector(nothing).found.any()
    assert detector(nothing[:0]).landmarks.shape == (0, 5, 2)


@pytest.mark.real
@needs_data
def test_a_sliver_of_a_picture_holds_no_face(detector: Scrfd) -> None:
    for shape in ((1, 2000, 3), (2000, 1, 3), (1, 1, 3)):
        assert detector.detect(np.zeros(shape, np.uint8)) == []


@pytest.mark.real
@needs_data
@pytest.mark.parametrize("shape", [(360, 640), (640, 360)])
def test_faces_of_a_long_picture_are_those_of_the_whole_square(detector: Scrfd, shape: tuple[int, int]) -> None:
    scene = np.full((*shape, 3), 90, np.uint8)
    for n, picture in enumerate(pictures()[:4]):
        row, column = divmod(n, 2 if shape[0] > shape[1] else 4)
        scene[160 * row : 160 * row + 150, 160 * column : 160 * column + 150] = picture
    mine = detector.detect(scene, 640)
    boxes, landmarks = detector.net.detect(np.ascontiguousarray(scene[..., ::-1]), input_size=(640, 640))
    assert len(mine) == len(boxes) >= 4
    np.testing.assert_allclose([d.box for d in mine], boxes[:, :4], atol=1)
    np.testing.assert_allclose([d.score for d in mine], boxes[:, 4], atol=0.02)
    np.testing.assert_allclose([d.landmarks for d in mine], landmarks, atol=1)
