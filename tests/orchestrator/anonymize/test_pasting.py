"""The way to the crop and back: what lies in it comes from the crop alone, what lies outside stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators.datasets.alignment import TEMPLATE, align
from evaluators.networks.detection import Detection
from orchestrator.anonymize.faces.pasting import AROUND, Place, cut, layers, paste, place_of


def face(x: float, y: float, scale: float, angle: float = 0.0, box: float = 80) -> Detection:
    """Make a detection whose crop's middle lies at x, y, with `scale` px of the picture per px of the crop."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 56) @ turn.T + (x, y)
    half = box / 2 * scale
    return Detection(np.array([x - half, y - half, x + half, y + half], np.float32), 0.9, points.astype(np.float32))


def smooth(width: int, height: int) -> NDArray[np.uint8]:
    small = np.random.default_rng(1).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("angle", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("scale", [0.25, 0.6, 1.0, 1.9])
def test_the_crop_is_the_one_that_is_measured(scale: float, angle: float) -> None:
    picture = smooth(500, 400)
    found = face(260, 190, scale, angle)
    mine, measured = cut(picture, place_of(found, 112)), align(picture, found.landmarks)
    assert np.abs(mine.astype(int) - measured).max() <= 6  # the fixed-point arithmetic of another window
    assert np.abs(mine.astype(int) - measured).mean() < 0.3


def test_a_much_larger_face_is_made_smaller_by_area() -> None:
    picture = np.zeros((1600, 1600, 3), np.uint8)
    picture[:, ::2] = 255  # stripes of a pixel, which sampling would turn into false ones
    crop = cut(picture, place_of(face(800, 800, 8.0), 112))
    assert crop.std() < 10 and abs(crop.mean() - 127.5) < 2
    assert abs(align(picture, face(800, 800, 8.0).landmarks).mean() - 127.5) > 20


def test_a_much_larger_face_lies_where_the_measured_one_does() -> None:
    picture = smooth(1600, 1600)
    found = face(790, 805, 6.3, 0.3)
    mine, measured = cut(picture, place_of(found, 112)), align(picture, found.landmarks)
    assert np.abs(mine.astype(int) - measured).mean() < 4


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_nothing_of_the_clear_picture_is_left_in_crop_and_rim(scale: float, angle: float) -> None:
    found = face(260, 240, scale, angle)
    place = place_of(found, 112)
    crop = np.full((112, 112, 3), 90, np.uint8)
    black, white = (np.full((500, 520, 3), value, np.uint8) for value in (0, 255))
    for picture in (black, white):
        paste(picture, crop, place)
    y, x = np.mgrid[:500, :520]
    at = np.stack([x, y, np.ones_like(x)], -1) @ place.matrix.T
    away = np.maximum(-0.5 - at, at - 111.5).max(-1)
    inside, outside = away <= AROUND, away > AROUND + 12
    assert inside.sum() > 100 and (black[inside] == 90).all() and (white[inside] == 90).all()
    assert (black[outside] == 0).all() and (white[outside] == 255).all()
    between = ~inside & ~outside
    assert (black[between] <= 90).all() and len(np.unique(black[between])) > 2


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_what_is_put_back_lies_where_it_was(scale: float) -> None:
    picture = smooth(800, 800)
    after = picture.copy()
    place = place_of(face(400, 410, scale, 0.3), 112)
    paste(after, cut(picture, place), place)
    inside = after[360:440, 360:440].astype(int) if scale > 0.5 else after[395:425, 385:415].astype(int)
    before = picture[360:440, 360:440] if scale > 0.5 else picture[395:425, 385:415]
    assert np.abs(inside - before).mean() < 6


def test_the_rim_follows_the_box_of_a_face_that_reaches_beyond() -> None:
    assert place_of(face(200, 200, 1.0, box=80), 112).rim == AROUND
    assert place_of(face(200, 200, 1.0, box=160), 112).rim == pytest.approx(24, abs=1)
    assert place_of(face(200, 200, 1.0, box=900), 112).rim == 56


def test_a_face_at_the_edge_or_outside_harms_nothing() -> None:
    for x, y in ((0, 0), (519, 499), (-400, 200), (5000, 5000)):
        picture = smooth(520, 500)
        place = place_of(face(x, y, 1.0), 112)
        crop = cut(picture, place)
        assert crop.shape == (112, 112, 3)
        paste(picture, crop, place)


def test_landmarks_in_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        place_of(Detection(np.array([0, 0, 9, 9], np.float32), 0.9, np.full((5, 2), 4, np.float32)), 112)


def test_faces_that_touch_are_worked_on_one_after_the_other_the_small_one_first() -> None:
    def place(x: float, y: float, scale: float) -> Place:
        return place_of(face(x, y, scale), 112)

    apart = [place(100, 100, 0.5), place(400, 100, 0.7), place(100, 400, 0.5)]
    assert layers(apart) == [[0, 1, 2]]
    touching = [place(200, 200, 1.0), place(290, 200, 0.3), place(600, 600, 0.5)]
    assert layers(touching) == [[1, 2], [0]]
    assert layers([]) == []
