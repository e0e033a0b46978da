"""The loop: every trial ends once, repeats cost nothing, an interrupted sweep goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.outcome import outcome_of
from orchestrator.sweep.study import SAMPLERS, make_study
from search_spaces import SPACES
from tests.helpers.fake_panel import OBJECTIVES, FakePanel
from tests.helpers.sweeps import SEVENS, ended, sweep_of, whole


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_trial_ends_once_and_is_told_as_it_ended(sampler: str, tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SEVENS, sampler=sampler, trials=20)
        InProcess(FakePanel).run(sweep)
        rows = ended(ledger)
        assert [row["trial"] for row in rows] == list(range(len(rows)))
        assert [row["method"] for row in rows[:2]] == ["identity", "blackout"]
        assert len(rows) == sweep.total
        told = sweep.study.get_trials(deepcopy=False)
        states = [trial.state for trial in told]
        failed = [row for row in rows if row["status"] == "failed"]
        assert states.count(optuna.trial.TrialState.FAIL) == len(failed)
        assert states.count(optuna.trial.TrialState.COMPLETE) == len(rows) - 2 - len(failed)
        assert all("seven divides it" in row["error"] for row in failed)
        for row, trial in zip(rows[2:], told, strict=True):
            if row["status"] == "complete":
                assert trial.values == [row[name] for name in OBJECTIVES]


def test_some_points_fail_and_the_sweep_goes_on(tmp_path: Path) -> None:
    rows = whole(tmp_path, space=SEVENS, sampler="grid", trials=55)
    assert any(row["status"] == "failed" for row in rows)
    for row in rows:
        seven = row["method"] == "pixelate" and row["pixelate.block"] % 7 == 0
        assert (row["status"] == "failed") == seven


def test_a_fixed_list_is_tried_in_its_order_and_brings_its_own_anchor(tmp_path: Path) -> None:
    rows = whole(tmp_path, space=SPACES["classical_grid"], sampler="grid", trials=40)
    assert [row["anonymizer"] for row in rows[1:]] == [repr(a) for a in SPACES["classical_grid"].configurations]
    assert [row["method"] for row in rows].count("blackout") == 1


def test_a_repeated_point_is_not_scored_again(tmp_path: Path) -> None:
    panel = FakePanel()
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SEVENS, sampler="random", trials=60)
        InProcess(lambda: panel).run(sweep)
        rows = ended(ledger)
    assert len(panel.scored) == len(set(panel.scored)) < len(rows) == 62


def test_a_point_that_repeats_a_running_one_waits_for_it(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SEVENS, sampler="random", trials=60)
        running = []
        while (proposal := sweep.propose()) is not None:  # as if there were endless panels
            running.append(proposal)
        names = [repr(p.anonymizer) for p in running]
        assert len(set(names)) == len(names) < 62
        panel = FakePanel()
        for proposal in reversed(running):
            sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
        assert sweep.finished
        sweep.check_closed()


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
@pytest.mark.parametrize("cut", [1, 5, 14, 29])
def test_a_sweep_that_was_cut_off_ends_as_the_uninterrupted_one(sampler: str, cut: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = whole(tmp_path / "a", sampler=sampler, trials=15)
    # The ledger after `cut` events is what a killed process leaves.
    path = tmp_path / "b" / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep, panel = sweep_of(ledger, sampler=sampler, trials=15), FakePanel()
        for _ in range(cut // 2):
            proposal = sweep.propose()
            assert proposal is not None
            sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
        if cut % 2:
            sweep.propose()  # asked, never answered
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, sampler=sampler, trials=15)
        InProcess(FakePanel).run(sweep)
        assert sweep.finished
        assert ended(ledger) == expected


def test_another_sweeps_ledger_is_refused(tmp_path: Path) -> None:
    whole(tmp_path, trials=5)
    with Ledger.open(tmp_path / "ledger.arrow") as ledger, pytest.raises(ValueError, match="give the options"):
        sweep_of(ledger, space=SEVENS, trials=5)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="tpe, nsga2, gp, random, grid"):
        make_study("magic", ["min", "max"], seed=0, trials=3)


def test_a_lost_trial_is_proposed_again_and_told_in_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=3)
        first, second = sweep.propose(), sweep.propose()
        assert first is not None and second is not None
        sweep.lose(first.trial, "its machine is gone", blamed=False)
        assert sweep.propose() == first
        sweep.lose(first.trial, "its machine is gone", blamed=False)
    # The driver dies here: what was lost is proposed again first, what was asked for too.
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, trials=3)
        InProcess(FakePanel).run(sweep)
        sweep.check_closed()
        told = [(row["trial"], row["status"]) for row in ledger.rows()]
        assert told[:4] == [(0, "asked"), (1, "asked"), (0, "lost"), (0, "lost")]
        assert [row["trial"] for row in ledger.trials()] == list(range(5))
        assert {row["status"] for row in ledger.trials()} == {"complete"}


def test_machines_are_never_held_against_a_configuration(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=3)
        for _ in range(50):
            proposal = sweep.propose()
            assert proposal is not None and proposal.trial == 0
            sweep.lose(0, "its machine is gone", blamed=False)
        assert not sweep.rows


def test_the_more_panels_die_anyway_the_more_deaths_prove_a_configuration_broken(tmp_path: Path) -> None:
    for name, deaths_of_others, expected in (("calm", 0, 3), ("storm", 12, 7)):
        with Ledger.create(tmp_path / f"{name}.arrow", {"objectives": OBJECTIVES}) as ledger:
            sweep = sweep_of(ledger, trials=40)
            panel = FakePanel()
            for number in range(20):
                proposal = sweep.propose()
                assert proposal is not None
                if number < deaths_of_others:
                    sweep.lose(proposal.trial, "killed", blamed=True)
                    assert sweep.propose() == proposal
                sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
            broken = sweep.propose()
            assert broken is not None
            deaths = 0
            while not any(row["trial"] == broken.trial for row in sweep.rows):
                sweep.lose(broken.trial, "killed", blamed=True)
                deaths += 1
                sweep.propose() if not any(row["trial"] == broken.trial for row in sweep.rows) else None
            assert deaths == expected, name
            assert f"panels died {expected} times" in sweep.rows[-1]["error"]


def test_a_sweep_stops_at_its_number_of_faces_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SPACES["classical_grid"], sampler="grid", trials=40)
        sweep.max_faces = 100  # a fake panel has 20 probes
        InProcess(FakePanel).run(sweep)
        assert (sweep.spent, len(sweep.rows), sweep.finished) == ("--max-faces", 5, False)
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, space=SPACES["classical_grid"], sampler="grid", trials=40)
        sweep.max_faces = 100  # what the ledger holds counts
        assert sweep.spent == "--max-faces" and sweep.propose() is None
        sweep.max_faces = None
        InProcess(FakePanel).run(sweep)
        assert sweep.finished and sweep.spent is None


def test_a_sweep_stops_when_its_time_is_over(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger)
        sweep.deadline = sweep.started  # has passed
        assert sweep.spent == "--time-budget" and sweep.propose() is None
        sweep.deadline = sweep.started + 1e6
        assert sweep.spent is None and sweep.propose() is not None
