"""The benchmark of the judges, on rows whose order is known."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.judges import judges_of, kept, left_out, tau, told_nothing, without


def row(
    trial: int, rank1: float, facex: float | None, blendshapes: float, told_by: str | None = None
) -> dict[str, Any]:
    return {
        "trial": trial,
        "status": "complete",
        "method": "blur",
        "rank1_worst": rank1,
        kept("facex"): facex,
        kept("blendshapes"): blendshapes,
        "told_by": told_by,
    }


ROWS = [row(0, 0.9, 0.9, 0.8), row(1, 0.5, 0.6, 0.5), row(2, 0.4, 0.7, 0.3), row(3, 0.1, 1.0, 0.1, "facex")]


def test_judges_and_their_order() -> None:
    assert judges_of(ROWS) == ["facex", "blendshapes"]
    assert [one["trial"] for one in told_nothing(ROWS)] == [0, 1, 2]
    assert tau(told_nothing(ROWS), kept("facex"), kept("blendshapes")) == pytest.approx(1 / 3)
    assert tau(ROWS, kept("facex"), kept("blendshapes")) == pytest.approx((1 + 1 - 1 - 1 - 1 - 1) / 6)
    assert tau(ROWS[:1], kept("facex"), kept("blendshapes")) != tau(ROWS[:1], "a", "b")  # both are no number


def test_a_told_method_is_on_the_front_of_its_teller_alone() -> None:
    judges = judges_of(ROWS)
    assert [one["trial"] for one in left_out(ROWS, "blendshapes", judges)] == [3]
    assert [one["trial"] for one in left_out(ROWS, "facex", judges)] == [3, 2, 1, 0]
    assert [one["others"] for one in without(ROWS, "facex", judges)] == [0.8, 0.5, 0.3, 0.1]
    assert len(without([row(0, 0.5, None, 0.4)], "blendshapes", judges)) == 0
