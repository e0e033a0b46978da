from __future__ import annotations

import moocore
import numpy as np
import pytest
from numpy.typing import NDArray

from evaluators.metrics import METRICS
from orchestrator.records.front import (
    FrontSoFar,
    eligible,
    front_hypervolume,
    front_mask,
    front_probability,
    front_rows,
    hypervolume,
    seba_areas,
    step_area,
    worst_and_best,
)

DIRECTIONS = [["min", "max"], ["max", "max"], ["min", "min", "max"], ["max", "min", "max", "min"]]


def dominates(a: NDArray[np.float64], b: NDArray[np.float64], directions: list[str]) -> bool:
    sign = np.array([1 if way == "min" else -1 for way in directions])
    return bool((sign * a <= sign * b).all() and (sign * a < sign * b).any())


def slow_mask(values: NDArray[np.float64], directions: list[str]) -> list[bool]:
    return [not any(dominates(other, one, directions) for other in values) for one in values]


@pytest.mark.parametrize("directions", DIRECTIONS, ids=str)
@pytest.mark.parametrize("levels", [3, 1000], ids=["many ties", "few ties"])
def test_mask_is_that_of_the_nested_loop(directions: list[str], levels: int) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 40):
        values = rng.integers(0, levels, (n, len(directions))) / levels
        kept = values.copy()
        assert front_mask(values, directions).tolist() == slow_mask(values, directions)
        np.testing.assert_array_equal(values, kept)


def test_mask_is_that_of_moocore() -> None:
    values = np.random.default_rng(1).random((200, 2))
    expected = moocore.is_nondominated(values, maximise=[False, True], keep_weakly=True)
    np.testing.assert_array_equal(front_mask(values, ["min", "max"]), expected)


def test_equal_points_share_their_fate() -> None:
    values = np.array([[0.1, 0.5], [0.1, 0.5], [0.2, 0.4], [0.2, 0.4]])
    assert front_mask(values, ["min", "max"]).tolist() == [True, True, False, False]
    assert front_mask(np.array([[0.0, -0.0], [-0.0, 0.0]]), ["min", "max"]).all()


def test_worse_in_one_and_equal_in_the_other_is_dominated() -> None:
    assert front_mask(np.array([[0.1, 0.5], [0.1, 0.4]]), ["min", "max"]).tolist() == [True, False]


def test_no_points() -> None:
    assert front_mask(np.zeros((0, 2)), ["min", "max"]).shape == (0,)
    assert hypervolume(np.zeros((0, 2)), ["min", "max"], [1, 0], [0, 1]) == 0.0


@pytest.mark.parametrize(
    ("values", "directions", "word"),
    [
        (np.array([[0.1, np.nan]]), ["min", "max"], "finite"),
        (np.array([[0.1, np.inf]]), ["min", "max"], "finite"),
        (np.array([[0.1, 0.2]]), ["min", "up"], "up"),
        (np.array([[0.1, 0.2]]), ["min"], "column"),
        (np.array([0.1, 0.2]), ["min", "max"], "column"),
    ],
)
def test_refusals(values: NDArray[np.float64], directions: list[str], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        front_mask(values, directions)


def test_hypervolume_by_hand() -> None:
    # Two rectangles in the unit square, seen from (1, 0): 0.8 * 0.3 + 0.4 * (0.9 - 0.3).
    values = np.array([[0.2, 0.3], [0.6, 0.9], [0.7, 0.8]])
    kept = values.copy()
    assert hypervolume(values, ["min", "max"], [1, 0]) == pytest.approx(0.8 * 0.3 + 0.4 * 0.6)
    assert hypervolume(values, ["min", "max"], [1, 0], [0, 1]) == pytest.approx(0.48)
    assert hypervolume(2 * values, ["min", "max"], [2, 0], [0, 2]) == pytest.approx(0.48)
    np.testing.assert_array_equal(values, kept)


def test_hypervolume_is_that_of_moocore_and_a_point_beyond_the_worst_adds_nothing() -> None:
    rng = np.random.default_rng(2)
    values = rng.random((50, 3))
    ours = hypervolume(values, ["min", "max", "min"], [1, 0, 1])
    assert ours == pytest.approx(moocore.hypervolume(values, ref=[1, 0, 1], maximise=[False, True, False]))
    beyond = np.vstack([values, [[0.0, -0.1, 0.0], [1.0, 1.0, 0.0]]])
    assert hypervolume(beyond, ["min", "max", "min"], [1, 0, 1]) == pytest.approx(ours)


def test_hypervolume_refuses_a_best_that_is_not_better() -> None:
    with pytest.raises(ValueError, match="better"):
        hypervolume(np.array([[0.5, 0.5]]), ["min", "max"], [1, 0], [0, 0])


@pytest.mark.parametrize("directions", DIRECTIONS[:3], ids=str)
def test_probability_is_that_of_the_nested_loop(directions: list[str]) -> None:
    rng = np.random.default_rng(3)
    replicates = rng.integers(0, 6, (12, len(directions), 30)).astype(np.float32) / 6
    kept = replicates.copy()
    expected = np.mean([slow_mask(replicates[:, :, r], directions) for r in range(30)], axis=0)
    np.testing.assert_allclose(front_probability(replicates, directions), expected)
    np.testing.assert_array_equal(replicates, kept)


def test_probability_is_joint() -> None:
    # Each draw shifts both rows alike, so the first dominates in every one though their intervals overlap.
    shift = np.random.default_rng(4).normal(0, 1, (1, 1, 100))
    replicates = np.array([[[0.4]], [[0.5]]]) + shift
    assert front_probability(replicates, ["min"]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="R of at least 1"):
        front_probability(np.zeros((2, 1, 0)), ["min"])


@pytest.mark.slow
def test_probability_of_a_large_sweep_takes_seconds() -> None:
    replicates = np.random.default_rng(5).random((500, 3, 2000), dtype=np.float32)
    assert front_probability(replicates, ["min", "max", "max"]).max() <= 1


ROWS = [
    {"trial": 0, "status": "complete", "a": 0.5, "b": 0.9},
    {"trial": 1, "status": "complete", "a": 0.1, "b": 0.2},
    {"trial": 2, "status": "complete", "a": 0.6, "b": 0.8},
    {"trial": 3, "status": "failed", "a": None, "b": None},
    {"trial": 4, "status": "stopped", "a": 0.0, "b": 1.0},
    {"trial": 5, "status": "complete", "a": 0.0, "b": None},
    {"trial": 6, "status": "complete", "a": 0.1, "b": 0.2},
]


def test_front_rows() -> None:
    front = front_rows(ROWS, {"a": "min", "b": "max"})
    assert [row["trial"] for row in front] == [1, 6, 0]
    assert front[0] is ROWS[1]
    assert [row["trial"] for row in front_rows(ROWS, {"b": "max", "a": "min"})] == [0, 1, 6]
    assert front_rows(ROWS[3:6], {"a": "min", "b": "max"}) == []
    assert not eligible(ROWS[4], {"a": "min"})


def test_front_hypervolume_takes_the_worst_point_of_metrics() -> None:
    objectives = {"rank1_worst": "min", "expression_kappa_adapted": "max"}
    worst, best = worst_and_best(objectives)
    assert worst == [METRICS[name].worst for name in objectives]
    assert best == [0.0, 1.0]
    ideal = [{"trial": 0, "status": "complete", "rank1_worst": 0.0, "expression_kappa_adapted": 1.0}]
    assert front_hypervolume(ideal, objectives) == pytest.approx(1.0)
    assert front_hypervolume([{**ideal[0], "status": "failed"}], objectives) == 0.0
    unbounded = next(name for name, metric in METRICS.items() if metric.high is None and metric.direction == "max")
    assert worst_and_best({"rank1_worst": "min", unbounded: "max"})[1] is None


def test_a_configuration_that_was_proposed_again_stands_on_the_front_once() -> None:
    again = [{**ROWS[0], "trial": trial, "anonymizer": "Blur(kernel=31)"} for trial in (7, 8)]
    front = front_rows([*again, {**ROWS[0], "trial": 9, "anonymizer": "Blur(kernel=33)"}], {"a": "min", "b": "max"})
    assert [row["trial"] for row in front] == [7, 9]


def test_the_area_of_steps_by_hand() -> None:
    assert step_area([1.0], [1.0]) == 0  # nothing is hidden
    assert step_area([0.0], [1.0]) == 1  # the perfect method
    assert step_area([0.2], [0.0]) == 0  # of no use
    # From 1 down to 0.5 at 0.8, to 0.25 at 0.4, and no further.
    assert step_area([0.25, 0.5], [0.4, 0.8]) == pytest.approx(0.5 * 0.8 + 0.25 * 0.4)
    assert step_area([0.5, 0.5], [0.3, 0.8]) == pytest.approx(0.4)  # the better of two with one rate


def test_the_area_of_steps_is_that_of_an_integral() -> None:
    rng = np.random.default_rng(0)
    rate, use = np.sort(rng.random(12))[::-1], rng.random(12)
    at = (np.arange(200_000) + 0.5) / 200_000
    # Over x between two rates the height is the use of the lower one; below the lowest there is nothing.
    place = np.searchsorted(rate[::-1], at, side="right") - 1
    height = np.where(place >= 0, use[::-1][place.clip(0)], 0.0)
    assert step_area(rate.tolist(), use.tolist()) == pytest.approx(height.mean(), abs=1e-4)


def test_areas_are_of_methods_and_leave_out_what_was_not_measured() -> None:
    def one(method: str, rate: float | None, use: float, status: str = "complete") -> dict[str, object]:
        return {"method": method, "status": status, "rank1_worst": rate, "expression_kappa_adapted": use}

    rows = [one("blur", 0.5, 0.8), one("blur", 0.25, -0.1), one("blur", None, 1.0), one("blackout", 0.0, 0.0)]
    assert seba_areas([*rows, one("pixelate", 0.1, 0.9, "failed")]) == {"blur": pytest.approx(0.4), "blackout": 0.0}


@pytest.mark.parametrize("names", [("rank1_worst", "expression_kept"), ("rank1_worst", "expression_kept", "st_lpips")])
def test_a_front_that_grows_point_by_point_is_that_of_all_points(names: tuple[str, ...]) -> None:
    objectives = {name: METRICS[name].direction for name in names}
    directions = list(objectives.values())
    values = np.random.default_rng(2).random((300, len(names))).round(2)  # some are equal
    front = FrontSoFar(objectives)
    for count, point in enumerate(values, 1):
        front.add(dict(zip(names, point, strict=True)))
        if count % 30 == 0:
            assert front.size == front_mask(values[:count], directions).sum()
            assert front.hypervolume == pytest.approx(
                hypervolume(values[:count], directions, *worst_and_best(objectives))
            )
