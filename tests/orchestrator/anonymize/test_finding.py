"""Every face is found: large, small, filling its picture, turned."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.networks.detection import Detection
from orchestrator.anonymize.faces.finding import find_all, find_once, fitted, once
from tests.helpers.drawn_faces import DrawnFinder, picture


def boxes(found: list[Detection]) -> list[list[int]]:
    return sorted([int(v) for v in np.rint(face.box)] for face in found)


def test_small_faces_are_found_beside_large_ones_and_each_once() -> None:
    drawn = picture(1600, 1200, [(800, 400, 300), (1500, 1100, 24), (60, 1000, 90)])
    finder = DrawnFinder()
    found = find_all(drawn, finder)
    assert len(found) == 3
    assert {side for *_, side in finder.asked} == {320, 1280}
    for wanted, box in zip(
        [[15, 955, 105, 1045], [650, 250, 950, 550], [1488, 1088, 1512, 1112]], boxes(found), strict=True
    ):
        assert np.abs(np.array(box) - wanted).max() <= 5
    assert len(find_all(drawn, DrawnFinder(), look=320)) == 2  # 24 px of 1600 are 5 of 320


def test_a_picture_is_never_enlarged_nor_looked_at_twice_in_one_size() -> None:
    finder = DrawnFinder()
    find_once(picture(300, 200, [(100, 100, 60)]), finder)
    assert finder.asked == [(200, 300, 320)]


def test_fitted_keeps_the_form() -> None:
    small, scale = fitted(picture(1280, 640), 320)
    assert small.shape == (160, 320, 3) and scale == 4
    same, scale = fitted(picture(100, 50), 320)
    assert same.shape == (50, 100, 3) and scale == 1


class Turned(DrawnFinder):
    """Find drawn faces in pictures that are wider than high alone, as one that takes no notice of turned ones."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.turns, self.calls = turns, 0

    def detect(self, picture: np.ndarray, side: int = 320) -> list[Detection]:
        corner = picture[2, 2].astype(int)
        upright = corner[0] > 240 and corner[2] < 20  # the orange corner, upper left
        return super().detect(picture, side) if upright else []


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_is_found_in_and_its_boxes_come_back(turns: int) -> None:
    upright = picture(640, 400, [(500, 120, 80)])
    upright[:20, :20] = (255, 128, 0)
    turned = np.ascontiguousarray(np.rot90(upright, turns))
    found = find_all(turned, Turned(turns))
    assert len(found) == 1
    corners = {1: (120, 640 - 500), 2: (640 - 500, 400 - 120), 3: (400 - 120, 500)}[turns]
    middle = (found[0].box[:2] + found[0].box[2:]) / 2
    assert np.abs(middle - corners).max() < 5
    left_eye, right_eye = found[0].landmarks[:2]
    way = (right_eye - left_eye) / np.linalg.norm(right_eye - left_eye)
    assert np.abs(way - {1: (0, -1), 2: (-1, 0), 3: (0, 1)}[turns]).max() < 0.1


def test_boxes_that_overlap_mean_one_face_the_better_one() -> None:
    marks = np.zeros((5, 2), np.float32)
    a, b, c = (
        Detection(np.array(box, np.float32), score, marks)
        for box, score in (((0, 0, 10, 10), 0.5), ((1, 0, 11, 10), 0.8), ((30, 0, 40, 10), 0.4))
    )
    assert [face.score for face in once([a, b, c])] == [0.8, 0.4]
