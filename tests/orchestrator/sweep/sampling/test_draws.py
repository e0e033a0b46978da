"""Draws cover what they stand for, ends included; what is known is held against the space."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from orchestrator.sweep.sampling.draws import Drawn, EvenPoints, Known
from search_spaces import SPACES, SearchSpace


def test_every_value_is_drawn_as_often() -> None:
    numbers = iter([(place + 0.5) / 60 for place in range(60)] * 3)
    drawn = Drawn(lambda: next(numbers))
    assert set(Counter(drawn.suggest_int("n", 3, 13, step=2) for _ in range(60)).values()) == {10}
    assert set(Counter(drawn.suggest_categorical("c", ("a", "b", "c")) for _ in range(60)).values()) == {20}
    reals = [drawn.suggest_float("x", -1, 1) for _ in range(60)]
    assert min(reals) == pytest.approx(-1 + 1 / 60) and max(reals) == pytest.approx(1 - 1 / 60)


@pytest.mark.parametrize("end", [0.0, 1.0 - 1e-16])
def test_the_ends_are_in_the_range(end: float) -> None:
    drawn = Drawn(lambda: end)
    assert drawn.suggest_int("n", 1, 16, log=True) in (1, 16)
    assert drawn.suggest_int("n", 3, 111, step=2) in (3, 111)
    assert drawn.suggest_float("x", 0.1, 10.0, log=True) == pytest.approx(10.0 if end else 0.1)


def test_points_fill_every_method_s_ranges_and_come_by_their_place() -> None:
    space = SearchSpace("four", methods=("blur", "pixelate", "k_same", "generator"))
    points = EvenPoints(space.dimensions, seed=5)
    first = [points.at(place) for place in range(64)]
    assert [points.at(place) for place in (40, 3, 63)] == [first[40], first[3], first[63]]
    drawn = [space.suggest(Drawn(iter(point).__next__)) for point in first]
    assert set(Counter(one["method"] for one in drawn).values()) == {16}
    for name, least, most in (("blur.kernel", 3, 111), ("generator.noise", 0.0, 2.0)):
        values = sorted((one[name] - least) / (most - least) for one in drawn if name in one)
        assert len(values) == 16 and all(abs(value - (n + 0.5) / 16) < 0.1 for n, value in enumerate(values))


def test_what_was_drawn_is_known_again() -> None:
    space = SPACES["classical_and_generator"]
    for seed in range(40):
        drawn = space.suggest(Drawn.by_chance(str(seed)))
        assert space.suggest(Known(drawn)) == drawn


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"blur.kernel": 4}, "expected a value of blur.kernel in the space, got 4"),
        ({"blur.kernel": 113}, "blur.kernel"),
        ({"blur.region": "nose"}, "blur.region"),
        ({"blur.kernel": None}, "blur.kernel"),
        ({"method": "cloak"}, "expected a value of method in the space, got 'cloak'"),
    ],
)
def test_what_a_space_does_not_have_is_refused(changed: dict[str, Any], sentence: str) -> None:
    parameters = {"method": "blur", "blur.kernel": 5, "blur.region": "crop"}
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SPACES["classical"].suggest(Known(parameters | changed))
