"""Labels and teachers' classes meet by name, never by position."""

from __future__ import annotations

import pytest
import torch

from evaluators.measuring.expression import labels_of
from evaluators.networks.catalog.classes import CANONICAL, canonical, counterparts
from evaluators.networks.catalog.conventions import TEACHERS
from tests.conftest import smooth_faces

SEVEN = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
EIGHT = ("Neutral", "Happiness", "Surprise", "Sadness", "Anger", "Disgust", "Fear", "Contempt")


def test_other_names_are_the_same_expression_and_unknown_ones_stay() -> None:
    assert [canonical(name) for name in (" Happiness", "angry", "SADNESS", "sad", "Squint")] == [
        "happy",
        "anger",
        "sad",
        "sad",
        "squint",
    ]


def test_seven_labels_onto_an_eight_class_teacher() -> None:
    found = counterparts(SEVEN, EIGHT)
    assert [EIGHT[i] for i in found.index] == [
        "Anger",
        "Disgust",
        "Fear",
        "Happiness",
        "Sadness",
        "Surprise",
        "Neutral",
    ]
    assert found.without == () and found.unused == ("Contempt",)


def test_eight_labels_onto_a_seven_class_teacher() -> None:
    found = counterparts(EIGHT, SEVEN)
    assert found.index == (6, 3, 5, 4, 0, 1, 2, -1)
    assert found.without == ("Contempt",) and found.unused == ()


def test_one_expression_under_two_names_is_refused() -> None:
    with pytest.raises(ValueError, match="labels: expected every expression once, got happy, joy"):
        counterparts(("happy", "joy"), SEVEN)
    with pytest.raises(ValueError, match="teacher: expected every expression once"):
        counterparts(SEVEN, ("sad", "Sadness"))


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teachers_classes_are_known(name: str) -> None:
    classes = TEACHERS[name].classes
    found = counterparts(classes, CANONICAL)
    assert found.without == () and set(found.unused) <= {"contempt"}
    assert len(classes) + len(found.unused) == len(CANONICAL)


def test_the_panels_labels_follow_the_names_and_leave_out_what_the_teacher_does_not_know() -> None:
    faces = smooth_faces(4, 2, expressions=8)  # labels 0, 1, ..., 7
    assert labels_of(faces, EIGHT, SEVEN).tolist() == [6, 3, 5, 4, 0, 1, 2, -1]
    faces.expression[2] = -1
    assert labels_of(faces, EIGHT, SEVEN).tolist() == [6, 3, -1, 4, 0, 1, 2, -1]
    assert torch.equal(labels_of(faces, EIGHT, EIGHT), faces.expression)
    with pytest.raises(ValueError, match=r"labels: expected some of the teacher's classes .*, got \['a', 'b'\]"):
        labels_of(faces, ("a", "b"), SEVEN)
