"""The benchmark of searchers: what it counts, on problems whose answer is known; how programs elsewhere are asked."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymizers import Blur
from benchmarks.search import lines
from benchmarks.searching import elsewhere
from benchmarks.searching.elsewhere import Peer, configured
from benchmarks.searching.formulas import FIELDS, FORMULAS, Formula, Point
from benchmarks.searching.ours import optunas, search
from benchmarks.searching.problem import Tried, curve, volume, wrong_stops
from orchestrator.records.front import front_mask


@pytest.fixture
def formula() -> Formula:
    return Formula("zdt1", 0)


def best(first: float) -> Point:
    """Return a point of ZDT1's front."""
    return Point((first, *(0.0,) * (FIELDS - 1)))


def tried(formula: Formula, point: Point, spent: float, *, stopped: bool = False) -> Tried:
    return Tried(point, formula.stages(point)[0 if stopped else -1], spent, stopped)


def test_formulas_have_their_fronts() -> None:
    assert Formula("zdt1", 0).truth(best(0.25)) == (0.25, 0.5)
    assert Formula("zdt2", 0).truth(best(0.5)) == (0.5, 0.75)
    radius = np.linalg.norm(Formula("dtlz2", 0).truth(Point((0.3, 0.7, 0.5, 0.5, 0.5))))
    assert radius == pytest.approx(1.0)


@pytest.mark.parametrize("name", FORMULAS)
def test_stages_bound_what_is_measured_last_in_every_draw(name: str) -> None:
    problem, point = Formula(name, 3), Point((0.2, 0.7, 0.4, 0.9, 0.6))
    stages = problem.stages(point)
    assert [seen.cost for seen in stages] == list(problem.costs) and not stages[-1].stage
    for before, after in itertools.pairwise(stages):
        assert all(before.values[one] <= after.values[one] for one in problem.objectives)
    first, *rest = problem.objectives
    assert stages[0].values[first] == stages[-1].values[first]
    assert any(stages[0].values[one] < stages[-1].values[one] for one in rest)
    assert stages[-1].values == problem.stages(point)[-1].values  # the same people, asked again


def test_the_volume_is_that_of_the_truth_of_what_was_measured_to_the_end(formula: Formula) -> None:
    assert volume(formula, []) == 0.0
    whole, early = tried(formula, best(0.25), 1.0), tried(formula, best(0.04), 1.7, stopped=True)
    alone = (1.1 - 0.25) * (4.0 - 0.5) / (1.1 * 4.0)
    assert volume(formula, [whole]) == pytest.approx(alone)
    assert volume(formula, [whole, early]) == pytest.approx(alone)
    both = curve(formula, [whole, early, tried(formula, best(0.04), 2.9)], 3)
    assert both[:2].tolist() == [pytest.approx(alone)] * 2 and both[2] > alone


def test_a_stop_is_wrong_where_nothing_dominates_in_truth(formula: Formula) -> None:
    worse = Point((0.3, 1.0, 1.0, 1.0, 1.0))
    trials = [
        tried(formula, best(0.25), 1.0),
        tried(formula, worse, 1.7, stopped=True),
        tried(formula, best(0.5), 2.4, stopped=True),
    ]
    assert wrong_stops(formula, trials) == (2, 1, 2)
    assert wrong_stops(formula, [*trials, tried(formula, best(0.5), 3.4)]) == (2, 0, 3)  # found again, not lost


def test_racing_spends_less_on_a_trial_and_finds_no_less() -> None:
    problem = Formula("zdt2", 1)
    whole, raced = (search(problem, "random", 1, 20, racing=racing) for racing in (False, True))
    assert [one.spent for one in whole] == [float(n) for n in range(1, 21)]
    assert sum(one.stopped for one in raced) > 3 and len(raced) > len(whole)
    names = [one.configuration for one in raced]
    assert names[: len(whole)] == [one.configuration for one in whole]
    kept = np.array([problem.truth(one.configuration) for one in raced if not one.stopped])
    every = np.array([problem.truth(one.configuration) for one in raced])
    stops, wrong, _ = wrong_stops(problem, raced)
    assert stops and front_mask(every, ["min", "min"]).sum() - wrong == front_mask(kept, ["min", "min"]).sum()


def test_optunas_loop_spends_its_budget(formula: Formula) -> None:
    assert [one.spent for one in optunas(formula, "random", 0, 5)] == [1.0, 2.0, 3.0, 4.0, 5.0]


PROGRAM = """
from asking import sweeps
for asking in sweeps():
    print("chatter, which goes where errors go")
    while asking.left:
        point = {one["name"]: 0.25 for one in asking.parameters}
        first = asking.measured(point, 1)
        assert asking.measured(point, len(asking.costs))[0] == first[0]
"""


def test_a_program_elsewhere_is_asked_over_pipes_and_pays_for_a_stage_once(
    formula: Formula, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asking.py").write_text((elsewhere.PEERS / "asking.py").read_text())
    (tmp_path / "still.py").write_text(PROGRAM)
    monkeypatch.setattr(elsewhere, "PEERS", tmp_path)
    with Peer("still", Path(sys.executable)) as peer:
        for _ in range(2):  # a program serves several sweeps
            found = peer.search(formula, 0, 2)
            assert [one.spent for one in found] == pytest.approx([0.7, 1.0, 1.7, 2.0])
            assert [bool(one.seen.stage) for one in found] == [True, False] * 2


def test_a_program_that_ends_is_named(formula: Formula, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone.py").write_text("")
    monkeypatch.setattr(elsewhere, "PEERS", tmp_path)
    with Peer("gone", Path(sys.executable)) as peer, pytest.raises((RuntimeError, BrokenPipeError)):
        peer.search(formula, 0, 1)


def test_parameters_may_name_fields_of_other_methods() -> None:
    from benchmarks.searching.table import SPACE, _parameters
    from search_spaces import SPACES

    class Problem:
        space = SPACES[SPACE]

    given: dict[str, Any] = {
        one["name"]: one["values"][0] if "values" in one else one["low"] for one in _parameters(Problem.space)
    }
    assert configured(Problem(), given | {"method": "blur", "blur.kernel": 10}) == Blur(kernel=11)  # type: ignore[arg-type]


def test_the_table_names_the_best_of_the_others() -> None:
    def result(searcher: str, seed: int, volumes: list[float], stopped: int = 0) -> dict[str, Any]:
        facts = {"problem": "p", "searcher": searcher, "seed": seed, "volumes": volumes, "tried": 3}
        return facts | {"stopped": stopped, "wrong": 0, "front": 4, "seconds": 0.0}

    rows = [result("random", 0, [0.1, 0.2, 0.3]), result("other", 0, [0.1, 0.4, 0.5])]
    rows += [result("ours, tpe", seed, [0.2, 0.6, 0.7], 2) for seed in range(2)]
    head, *table = lines(rows, "p", 3)
    assert head == "p: best of the others: other, 0.500 after 3"
    assert [line.split(" | ")[5] for line in table] == ["–", "3", "2"]
    assert table[2].endswith("| 0 of 8 (0.000) |")
