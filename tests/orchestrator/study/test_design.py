"""Who is shown what: balance over participants, and who may be asked about what."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.records.trials import flat
from orchestrator.study.design import (
    EXPRESSION,
    PAIR,
    chosen_rows,
    designed,
    drawn_subjects,
    even_count,
)
from tests.helpers.sample_rows import OBJECTIVES, row, sample, scores
from tests.helpers.studies import small_key

ROWS = [flat(one) for one in sample()]


def test_every_participant_sees_each_face_once_and_each_configuration_as_often() -> None:
    key = small_key(subjects=16, trials=4)
    items = key["items"]
    assert len(key["groups"]) == 8
    for group in key["groups"]:
        for task in (EXPRESSION, PAIR):
            asked = [items[name] for name in group[task]]
            assert all(item["task"] == task for item in asked)
            assert len({item["face"] for item in asked}) == len(asked) == 16
            assert set(Counter(item["trial"] for item in asked).values()) == {4}
        pairs = Counter((items[name]["trial"], items[name]["truth"]) for name in group[PAIR])
        assert set(pairs.values()) == {2} and len(pairs) == 8
        # Nobody sees a face under one configuration in both tasks, nor one expression under one configuration alone.
        seen = [{(items[name]["face"], items[name]["trial"]) for name in group[task]} for task in (EXPRESSION, PAIR)]
        assert not seen[0] & seen[1]
        words = Counter((items[name]["trial"], items[name]["truth"]) for name in group[EXPRESSION])
        assert set(words.values()) == {1} and len(words) == 16


def test_a_round_of_participants_sees_every_question_equally_often() -> None:
    key = small_key(subjects=16, trials=4)
    seen = Counter(name for group in key["groups"] for task in (EXPRESSION, PAIR) for name in group[task])
    assert set(seen) == set(key["items"])
    assert {seen[name] for name, item in key["items"].items() if item["task"] == EXPRESSION} == {2}
    assert {seen[name] for name, item in key["items"].items() if item["task"] == PAIR} == {1}


def test_a_clear_picture_stands_as_often_beside_its_person_as_beside_another() -> None:
    truth = ["happy", "sad", "happy", "sad", None, "happy", "happy", "happy"]
    person = [0, 0, 1, 1, 2, 3, 4, 5]
    gallery = [0, 1, 2, 3, 4, 5, 0, 1]
    subjects = drawn_subjects(truth, person, gallery, 4, seed=3)
    assert len({person[one.probe] for one in subjects}) == 4
    assert Counter(one.truth for one in subjects) == {"happy": 2, "sad": 2}
    assert [one.truth for one in subjects] == sorted(one.truth for one in subjects)
    for one in subjects:
        assert gallery[one.own] == person[one.probe] != gallery[one.foil]
        assert truth[one.probe] == one.truth
    assert sorted(one.own for one in subjects) == sorted(one.foil for one in subjects)
    assert drawn_subjects(truth, person, gallery, 4, seed=3) == subjects
    assert len(drawn_subjects(truth, person, gallery, 99, seed=3)) == 5  # everybody whose expression is known
    with pytest.raises(ValueError, match="at least two people whose expression is known, got 1"):
        drawn_subjects([None, "sad"], [0, 1], [0, 1], 4, seed=0)


def test_names_of_questions_tell_nothing() -> None:
    subjects = drawn_subjects(["a"] * 8, list(range(8)), list(range(8)), 8, seed=0)
    rows = ROWS[:4]
    first, second = (designed(subjects, rows, seed)[0] for seed in (0, 1))
    assert list(first) == sorted(first) != list(second)
    assert len(first) == 8 * 4 * 3


def test_configurations_are_the_ends_and_the_front_between_them() -> None:
    chosen = chosen_rows(ROWS, OBJECTIVES, (), 5)
    assert [row["method"] for row in chosen[:2]] == ["identity", "blackout"] and len(chosen) == 5
    rates = [row["rank1_worst"] for row in chosen[2:]]
    assert rates == sorted(rates)
    assert [row["trial"] for row in chosen_rows(ROWS, OBJECTIVES, (4, 9, 4), 5)] == [4, 9]
    with pytest.raises(ValueError, match=r"complete trials of this sweep, got \[12, 77\]"):
        chosen_rows(ROWS, OBJECTIVES, (4, 12, 77), 5)
    with pytest.raises(ValueError, match="at least two configurations"):
        chosen_rows(ROWS, OBJECTIVES, (4,), 5)
    alone = [flat(row(0, "blur", {"kernel": 5}, scores(0.5, 0.5)))]
    with pytest.raises(ValueError, match="at least two configurations to ask about, got 1"):
        chosen_rows(alone, OBJECTIVES, (), 5)


def test_faces_are_a_multiple_of_twice_the_configurations() -> None:
    assert even_count(32, 60, 5) == 30
    assert even_count(32, 25, 4) == 24
    with pytest.raises(ValueError, match=r"at least 16 faces of different people.*got 12"):
        even_count(32, 12, 8)
