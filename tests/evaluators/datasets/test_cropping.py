"""Cropping: the geometry of crops, frames, several faces."""

from __future__ import annotations

import numpy as np

from evaluators.datasets.alignment import TEMPLATE, align
from evaluators.datasets.cropping import align_context, context_margin, crop_face, find_faces
from evaluators.datasets.sources.pictures import Upright
from evaluators.networks.detection import Detection
from tests.helpers.prepared_sets import Whole

# The geometry of the crops.


def test_the_context_shows_what_is_around_the_aligned_crop() -> None:
    assert [context_margin(size) for size in (112, 224)] == [40, 80]
    y, x = np.mgrid[:400, :400]
    picture = (np.stack([x, y, (x + y) / 2], axis=2) * 255 / 400).astype(np.uint8)
    turn = np.array([[0.9, -0.3], [0.3, 0.9]])
    landmarks = TEMPLATE @ turn.T + [120, 90]
    crop, context = align(picture, landmarks), align_context(picture, landmarks)
    assert context.shape == (192, 192, 3)
    assert np.abs(context[40:152, 40:152].astype(int) - crop).max() <= 1
    assert np.abs(align_context(picture, landmarks, 224)[::2, ::2].astype(int) - context).max() <= 3
    far = align_context(picture, landmarks - 200)
    assert (far[:40] == 0).all()  # where the picture ends


def test_a_face_that_fills_the_picture_is_found_in_a_frame() -> None:
    class NeedsRoom:
        def detect(self, picture: np.ndarray) -> list[Detection]:
            bright = np.argwhere(picture[..., 0] == 200)
            (top, left), (bottom, right) = bright.min(0), bright.max(0) + 1
            if top == 0:
                return []
            box = np.array([left, top, right, bottom], np.float32)
            return [Detection(box, 0.9, np.float32(TEMPLATE) + box[:2])]

    (found,) = find_faces(np.full((112, 112, 3), 200, np.uint8), NeedsRoom())
    assert found.box.tolist() == [0, 0, 112, 112] and np.allclose(found.landmarks, TEMPLATE, atol=1e-4)


def test_landmarks_are_in_px_of_the_file_and_several_faces_are_counted_or_refused() -> None:
    picture = np.full((56, 56, 3), 9, np.uint8)
    picture[0, 0] = (255, 0, 0)
    found = crop_face(Upright(picture, scale=4.0), Whole(), size=112)
    assert not isinstance(found, str)
    assert np.allclose(found.landmarks, TEMPLATE * 2, atol=1e-3) and (found.faces, found.score) == (2, 0.75)
    assert crop_face(Upright(picture), Whole(), size=112, one_face=True) == "several faces"
    assert crop_face(Upright(picture * 0), Whole(), size=112) == "no face"
