"""Tracks: one person keeps one number, and no face is left out where it was missed."""

from __future__ import annotations

import numpy as np

from evaluators.networks.detection import Detection
from orchestrator.anonymize.video.tracks import ACROSS, AFTER, BEFORE, BETWEEN, FOUND, Tracked, follow, is_cut


def face(x: float, y: float = 100, side: float = 60) -> Detection:
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    return Detection(box, 0.9, np.tile(np.array([[x, y]], np.float32), (5, 1)))


def at(one: Tracked) -> float:
    return float(one.face.box[0] + one.face.box[2]) / 2


def whys(frames: list[list[Tracked]]) -> list[list[str]]:
    return [[one.why for one in frame] for frame in frames]


def test_people_who_cross_keep_their_numbers() -> None:
    found = [[face(100 + 8 * t, 100), face(500 - 8 * t, 130)] for t in range(50)]
    found = [frame if t % 2 else frame[::-1] for t, frame in enumerate(found)]  # in any order
    tracked = follow(found, [False] * 50, 25)
    rightward = {
        one.track
        for t, frame in enumerate(tracked)
        for one in frame
        if abs(at(one) - (100 + 8 * t)) < 1 and one.face.box[1] < 90
    }
    assert len(rightward) == 1 and all(len(frame) == 2 for frame in tracked)


def test_a_face_that_was_missed_between_is_filled_in_on_its_way() -> None:
    found = [[face(100 + 4 * t)] if t not in (5, 6, 7, 8) else [] for t in range(20)]
    tracked = follow(found, [False] * 20, 25)
    for t in range(20):
        assert len(tracked[t]) == 1 and abs(at(tracked[t][0]) - (100 + 4 * t)) < 1e-3
        assert tracked[t][0].why == (BETWEEN if t in (5, 6, 7, 8) else FOUND)
    assert {one.track for frame in tracked for one in frame} == {0}


def test_a_face_is_covered_before_and_after_it_is_found() -> None:
    found = [[face(200 + 2 * t)] if 20 <= t < 40 else [] for t in range(60)]
    tracked = follow(found, [False] * 60, 24)
    expected = [
        [BEFORE] if 8 <= t < 20 else [AFTER] if 40 <= t < 52 else [FOUND] if 20 <= t < 40 else [] for t in range(60)
    ]
    assert whys(tracked) == expected
    assert abs(at(tracked[45][0]) - 290) < 1e-3 and abs(at(tracked[10][0]) - 220) < 1e-3  # moved on as it moved


def test_a_cut_ends_a_track_and_a_flash_leaves_nobody_clear() -> None:
    found = [[face(100)] if t < 10 else [face(102)] for t in range(20)]
    cuts = [t == 10 for t in range(20)]
    tracked = follow(found, cuts, 25)
    assert {one.track for one in tracked[9]} == {0} and {one.track for one in tracked[10]} == {1}
    gone = follow([[face(100)] if t < 10 else [] for t in range(40)], cuts + [False] * 20, 25)
    assert [len(frame) for frame in gone[:14]] == [1] * (10 + ACROSS) + [0] * (4 - ACROSS)
    flash = follow([[face(100)] if t != 10 else [] for t in range(20)], [t in (10, 11) for t in range(20)], 25)
    assert all(flash)


def test_faces_that_were_found_are_not_covered_twice() -> None:
    # Lost for longer than a track waits: a new number, and nothing filled in beside it.
    found = [[face(100)] if t < 10 or t >= 50 else [] for t in range(70)]
    tracked = follow(found, [False] * 70, 25)
    assert {one.track for frame in tracked for one in frame} == {0, 1}
    assert max(len(frame) for frame in tracked) == 1
    assert follow([], [], 25) == []


def test_shots_differ_more_than_frames() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (18, 32), dtype=np.uint8)
    assert not is_cut(one, np.roll(one // 2, 0) + one // 2) and is_cut(one, one[::-1])
