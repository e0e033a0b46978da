"""Constraints are read as they are written, and what cannot be one is told apart, with the nearest name."""

from __future__ import annotations

import re

import pytest

from evaluators.metrics.constraints import Constraint, constraint_of, constraints_of, is_feasible


def test_a_constraint_is_read_and_written_alike() -> None:
    assert constraint_of(" detection_rate>=0.9 ") == Constraint("detection_rate", ">=", 0.9)
    assert str(constraint_of("st_lpips <= 0.25")) == "st_lpips <= 0.25"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("detection_rat >= 0.9", "the nearest is detection_rate"),
        ("detection_rate > 0.9", 'expected "METRIC >= BOUND" or "METRIC <= BOUND"'),
        ("detection_rate >= much", "--constraint detection_rate: expected a number as its bound, got 'much'"),
        ("detection_rate >= nan", "expected a number"),
        ("detection_rate >= 90", "within its range of 0 to 1, no configuration keeps this one"),
        ("rank1_worst <= 1", "every configuration keeps this one"),
    ],
)
def test_what_is_no_constraint_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        constraint_of(text)


def test_two_bounds_of_one_side_are_refused() -> None:
    both = ("rank1_worst <= 0.5", "rank1_worst >= 0.1")
    assert len(constraints_of(both)) == 2
    with pytest.raises(ValueError, match="expected one bound of rank1_worst <="):
        constraints_of((*both, "rank1_worst <= 0.4"))


def test_the_bound_itself_keeps_it() -> None:
    constraints = constraints_of(("rank1_worst <= 0.5", "detection_rate >= 0.9"))
    assert is_feasible({"rank1_worst": 0.5, "detection_rate": 0.9}, constraints)
    assert not is_feasible({"rank1_worst": 0.51, "detection_rate": 1.0}, constraints)
    assert constraints[0].violation(0.7) == pytest.approx(0.2)
    assert constraints[1].violation(0.4) == pytest.approx(0.5)
