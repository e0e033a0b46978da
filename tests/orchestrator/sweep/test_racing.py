"""Racing: who is stopped and by whom, with planted truths; and sweeps whose front is the one without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from anonymizers import Blur
from orchestrator.records.front import front_rows
from orchestrator.records.ledger import Ledger
from orchestrator.records.wording import racing_line
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.outcome import is_whole, outcomes_of
from orchestrator.sweep.proposals import ANCHORS
from orchestrator.sweep.racing import Racing, Standing, Stop, decide
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.staged_panel import WORSE, StagedPanel
from tests.helpers.sweeps import sweep_of

PEOPLE, DRAWS = 60, 400
TIMES = np.random.default_rng(5).multinomial(PEOPLE, np.full(PEOPLE, 1 / PEOPLE), size=DRAWS) / PEOPLE
"""How often each person is drawn."""


def standing(trial: int, risk: NDArray[np.float64], utility: NDArray[np.float64]) -> Standing:
    """Make a standing of what (P,) people give: the risk is minimized, the utility maximized."""
    costs = np.array([risk.mean(), -utility.mean()])
    return Standing(trial, costs, np.stack([TIMES @ risk, -(TIMES @ utility)]).astype(np.float16))


def people(rate: float) -> NDArray[np.float64]:
    """Let that share of the people count, always the same first ones, so that larger rates hold smaller ones."""
    return (np.arange(PEOPLE) < round(rate * PEOPLE)).astype(np.float64)


CLEAR, BLACK = standing(0, people(1.0), people(1.0)), standing(1, people(0.0), people(0.0))
MIDDLE = standing(4, people(0.4), people(0.6))
FINISHED = (CLEAR, BLACK, MIDDLE)


@pytest.mark.parametrize(
    ("risk", "utility", "by"),
    [
        (0.7, 0.3, (4,)),  # worse in both, by many people
        (0.1, 0.3, ()),  # more private than any that is as readable
        (0.9, 0.8, ()),  # more readable than any that is as private
        (0.4, 0.6, ()),  # the same as a finished one: equal rows stand on the front together
        (0.5, 0.61, ()),  # better by a hair in one
        (0.45, 0.55, (4,)),  # worse in both by the same people whom a finished one has, whoever is drawn
    ],
)
def test_who_is_dominated_in_nearly_every_draw_is_stopped_by_those_who_do(
    risk: float, utility: float, by: tuple[int, ...]
) -> None:
    found = decide("readers", standing(7, people(risk), people(utility)), FINISHED)
    assert (() if found is None else found.by) == by
    if found is not None:
        assert found.stage == "readers" and found.confidence >= 0.95


def test_what_other_people_could_turn_round_goes_on() -> None:
    """A difference of 0.05 that other people make: in a third of the draws it is the other way."""
    chance = np.random.default_rng(0)
    risk, other = (chance.permutation(people(rate)) for rate in (0.55, 0.5))
    rival = standing(3, other, people(0.6))
    candidate = standing(8, risk, people(0.6) - 0.01)
    assert (rival.costs < candidate.costs).all()
    assert decide("readers", candidate, [rival]) is None
    assert decide("readers", candidate, [rival], confidence=0.5) is not None


def test_several_may_be_needed_to_be_sure() -> None:
    """Two rivals, each better on one half of the draws of people."""
    half = np.arange(DRAWS) < DRAWS // 2
    costs = np.array([0.5, -0.5])
    candidate = Standing(9, costs, np.zeros((2, DRAWS), np.float16))
    one, other = (
        Standing(n, costs - 0.01, np.where(where, -1.0, 1.0)[None].repeat(2, 0).astype(np.float16))
        for n, where in ((2, half), (5, ~half))
    )
    assert decide("gallery", candidate, [one]) is None
    assert decide("gallery", candidate, [one, other]) == Stop("gallery", (2, 5), 1.0)
    assert json.loads(Stop("gallery", (2, 5), 1.0).text()) == {"stage": "gallery", "by": [2, 5], "confidence": 1.0}


def test_dominated_on_the_draws_but_not_as_measured_goes_on() -> None:
    candidate = Standing(9, np.array([0.3, -0.5]), np.ones((2, DRAWS), np.float16))
    rival = Standing(2, np.array([0.4, -0.5]), np.zeros((2, DRAWS), np.float16))
    assert decide("gallery", candidate, [rival]) is None


def test_draws_of_other_people_are_refused() -> None:
    odd = Standing(3, MIDDLE.costs, MIDDLE.draws[:, :10])
    with pytest.raises(ValueError, match=r"expected objectives and draws of shape \(2, 10\), got \[\(2, 400\)\]"):
        decide("readers", odd, FINISHED)


def values(risk: float | None, utility: float | None) -> dict[str, float | None]:
    return {"rank1_worst": risk, "expression_kept": utility, "d_prime": None}


def test_what_is_not_measured_yet_counts_at_its_best() -> None:
    racing = Racing({"rank1_worst": "min", "expression_kept": "max"}, seed=0)
    racing.add(0, values(0.2, 0.9), {})
    racing.add(1, values(0.6, 0.95), {})
    assert racing.standing(5, values(0.7, None), {}).costs.tolist() == [0.7, -1.0]  # nothing keeps more than all
    racing.add(2, values(0.65, 1.0), {})
    assert [one.trial for one in racing.front] == [0, 1, 2]
    assert decide("readers", racing.standing(5, values(0.7, None), {}), racing.front) == Stop("readers", (2,), 1.0)
    unbounded = Racing({"d_prime": "min", "rank1_worst": "min"}, seed=0)
    assert unbounded.standing(5, values(0.7, None), {}).costs.tolist() == [-np.inf, 0.7]


def test_only_the_front_of_the_finished_is_kept() -> None:
    racing = Racing({"rank1_worst": "min", "expression_kept": "max"}, seed=0)
    for trial, (risk, utility) in enumerate([(0.5, 0.5), (0.6, 0.4), (0.5, 0.5), (0.4, 0.6), (0.1, 0.1)]):
        racing.add(trial, values(risk, utility), {})
    assert [one.trial for one in racing.front] == [3, 4]


def test_draws_of_a_dominated_trial_are_not_even_read() -> None:
    """They may have to be computed, for thousands of trials of a sweep that is resumed."""

    class Unread(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise AssertionError(name)

        def __contains__(self, name: object) -> bool:
            raise AssertionError(name)

    racing = Racing({"rank1_worst": "min", "expression_kept": "max"}, seed=0)
    values = {"rank1_worst": 0.3, "expression_kept": 0.6}
    racing.add(1, values, {name: np.full(DRAWS, value) for name, value in values.items()})
    racing.add(2, {"rank1_worst": 0.4, "expression_kept": 0.5}, Unread())
    assert [one.trial for one in racing.front] == [1]
    with pytest.raises(AssertionError):
        racing.add(3, {"rank1_worst": 0.2, "expression_kept": 0.5}, Unread())


def test_the_sampler_is_told_bounds_and_what_the_nearest_finished_trial_has() -> None:
    racing = Racing({"rank1_worst": "min", "expression_kept": "max"}, seed=0)
    racing.add(0, values(0.2, 0.3), {})
    racing.add(1, values(0.8, 0.9), {})
    assert racing.guess(values(0.7, None)) == {"rank1_worst": 0.7, "expression_kept": 0.9}
    assert racing.guess(values(0.7, 0.1)) == {"rank1_worst": 0.7, "expression_kept": 0.1}


def test_the_nearest_of_many_is_found() -> None:
    racing = Racing({"rank1_worst": "min", "expression_kept": "max"}, seed=0)
    for trial in range(100):
        racing.add(trial, values(trial / 100, 1 - trial / 200), {})
    assert racing.guess(values(0.701, None)) == {"rank1_worst": 0.701, "expression_kept": 0.65}


def test_about_a_tenth_is_audited_by_seed_and_number() -> None:
    racing, again, other = (Racing(OBJECTIVES, seed=seed) for seed in (0, 0, 1))
    drawn = [racing.audits(trial) for trial in range(2_000)]
    assert 160 <= sum(drawn) <= 240
    assert drawn == [again.audits(trial) for trial in range(2_000)]
    assert drawn != [other.audits(trial) for trial in range(2_000)]


def raced(path: Path, *, racing: bool, sampler: str = "random", trials: int = 150) -> tuple[Any, list[Any], int]:
    panel = StagedPanel()
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, sampler=sampler, trials=trials, racing=racing)
        InProcess(lambda: panel).run(sweep)
        assert sweep.finished
        sweep.check_closed()
        return sweep, ledger.trials(), panel.stages_asked


def test_a_sweep_finds_the_same_front_by_fewer_stages(tmp_path: Path) -> None:
    _, plain, asked = raced(tmp_path / "plain.arrow", racing=False)
    sweep, rows, fewer = raced(tmp_path / "raced.arrow", racing=True)
    assert [row["anonymizer"] for row in rows] == [row["anonymizer"] for row in plain]
    stopped = [row for row in rows if row["status"] == "stopped"]
    assert len(stopped) >= 20 and fewer == asked - len(stopped)
    assert {row["method"] for row in stopped} <= set(WORSE)
    assert all(row["status"] == "complete" for row in rows if row["method"] in ANCHORS)
    front = front_rows(rows, OBJECTIVES)
    assert [row["trial"] for row in front] == [row["trial"] for row in front_rows(plain, OBJECTIVES)]
    whole = {row["trial"]: row for row in plain}
    for row in stopped:
        why = json.loads(row["stopped"])
        assert why["stage"] == "readers" and why["confidence"] >= 0.95
        assert row["rank1_worst"] < whole[row["trial"]]["rank1_worst"]  # a bound
        assert all(rows[rival]["status"] == "complete" and rival < row["trial"] for rival in why["by"])
    audited = [row for row in rows if row["status"] == "complete" and row["stopped"]]
    assert 1 <= len(audited) <= 0.3 * len(stopped)
    assert all(sweep.racing.audits(row["trial"]) for row in audited)
    assert not any(sweep.racing.audits(row["trial"]) for row in stopped)
    assert {k: v for k, v in audited[0].items() if k not in ("stopped", "seconds")} == {
        k: v for k, v in whole[audited[0]["trial"]].items() if k not in ("stopped", "seconds")
    }
    line = racing_line(rows, front)
    assert line.startswith(f"Racing: {len(stopped)} trials were stopped") and f"0 of {len(audited)}" in line
    assert racing_line(plain, front) == ""


def test_a_sampler_is_told_of_stopped_trials_as_of_measured_ones(tmp_path: Path) -> None:
    sweep, rows, _ = raced(tmp_path / "ledger.arrow", racing=True, sampler="tpe", trials=40)
    told = sweep.proposals.study.get_trials(deepcopy=False)
    failed = sum(row["status"] == "failed" for row in rows)
    assert sum(trial.state == optuna.trial.TrialState.FAIL for trial in told) >= failed
    known = {tuple(trial.values) for trial in told if trial.values is not None}
    for row in rows:
        if row["status"] == "stopped":
            assert tuple(row[name] for name in OBJECTIVES) in known


@pytest.mark.parametrize("cut", [30, 90])
def test_a_resumed_sweep_reads_decisions_and_makes_none_again(cut: int, tmp_path: Path) -> None:
    """Interrupted after so many answers, in the midst of a trial that had gone on after its first stage."""
    _, whole, _ = raced(tmp_path / "whole.arrow", racing=True, sampler="tpe", trials=100)
    panel, path = StagedPanel(), tmp_path / "cut.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, sampler="tpe", trials=100, racing=True)
        while True:
            proposal = sweep.propose()
            assert proposal is not None
            for outcome in outcomes_of(panel, proposal.anonymizer):
                if sweep.ends(proposal.trial, outcome):
                    break
                if len(sweep.rows) >= cut:
                    break
            if len(sweep.rows) >= cut and not is_whole(outcome):
                break
            sweep.finish(proposal.trial, outcome)
    with Ledger.open(path) as ledger:
        before = [row for row in ledger.trials() if row["status"] == "stopped"]
        sweep = sweep_of(ledger, sampler="tpe", trials=100, racing=True)
        assert sweep.racing is not None
        asked_before = panel.stages_asked
        assert panel.stages_asked == asked_before  # replay asks no panel
        InProcess(lambda: panel).run(sweep)
        sweep.check_closed()
        rows = ledger.trials()
    assert [row for row in rows if row["status"] == "stopped"][: len(before)] == before
    assert any(row["status"] == "stopped" for row in rows[len(sweep.rows) // 2 :])
    for row, known in zip(rows, whole, strict=True):
        assert row | {"seconds": 0} == known | {"seconds": 0}


def test_nothing_is_stopped_before_a_trial_has_finished() -> None:
    racing = Racing(OBJECTIVES, seed=0)
    first = next(iter(StagedPanel().stages(Blur(kernel=31))))
    assert first.stage == "readers" and len(first.replicates["rank1_worst"]) > 1
    assert racing.decision(2, first) is None
