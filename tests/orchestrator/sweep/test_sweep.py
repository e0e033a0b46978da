"""The loop: every trial ends once, repeats cost nothing, an interrupted sweep goes on as if nothing had happened."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import optuna
import pytest

from anonymizers import Pixelate
from anonymizers.ranges import Integer
from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.outcome import outcome_of
from orchestrator.sweep.proposals import ANCHORS
from orchestrator.sweep.study import SAMPLERS, make_sampler
from search_spaces import SPACES, SearchSpace
from tests.helpers.fake_panel import OBJECTIVES, FakePanel
from tests.helpers.sweeps import SEVENS, ended, sweep_of, whole

A = len(ANCHORS)
FEW = SearchSpace("few", methods=("pixelate",), narrowed={"pixelate.block": Integer(8, 12), "pixelate.region": "crop"})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_trial_ends_once_and_is_told_as_it_ended(sampler: str, tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SEVENS, sampler=sampler, trials=20)
        InProcess(FakePanel).run(sweep)
        rows = ended(ledger)
        assert [row["trial"] for row in rows] == list(range(len(rows)))
        assert [row["method"] for row in rows[:A]] == list(ANCHORS)
        assert len(rows) == sweep.total
        told = sweep.proposals.study.get_trials(deepcopy=False)
        states = [trial.state for trial in told]
        failed = [row for row in rows if row["status"] == "failed"]
        assert set(states) <= {optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE}
        assert states.count(optuna.trial.TrialState.FAIL) >= len(failed)
        assert all("seven divides it" in row["error"] for row in failed)
        # Trials of the study that repeat an earlier one are told the same, and are no trials of the sweep.
        values = [trial.values for trial in told if trial.values is not None]
        assert list(dict.fromkeys(map(tuple, values))) == list(
            dict.fromkeys(tuple(row[name] for name in OBJECTIVES) for row in rows[A:] if row["status"] == "complete")
        )


def test_some_points_fail_and_the_sweep_goes_on(tmp_path: Path) -> None:
    rows = whole(tmp_path, space=SEVENS, sampler="grid", trials=55)
    assert any(row["status"] == "failed" for row in rows)
    for row in rows:
        seven = row["method"] == "pixelate" and row["pixelate.block"] % 7 == 0
        assert (row["status"] == "failed") == seven


def test_a_fixed_list_is_tried_in_its_order_and_brings_its_own_anchor(tmp_path: Path) -> None:
    rows = whole(tmp_path, space=SPACES["classical_grid"], sampler="grid", trials=40)
    assert [row["anonymizer"] for row in rows[A - 1 :]] == [repr(a) for a in SPACES["classical_grid"].configurations]
    assert [row["method"] for row in rows].count("blackout") == 1


def test_a_repeat_costs_no_trial(tmp_path: Path) -> None:
    panel = FakePanel()
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=SEVENS, sampler="random", trials=60)
        InProcess(lambda: panel).run(sweep)
        rows = ended(ledger)
        draws = [json.loads(row["drawn"])["draw"] for row in ledger.events([]) if row["drawn"] is not None]
        assert draws == sorted(set(draws)) and draws[-1] > 60  # it did propose some again
        assert len(sweep.proposals.study.get_trials(deepcopy=False)) == 60
    assert len(panel.scored) == len(set(panel.scored)) == len(rows) == 60 + A


def test_a_small_space_is_tried_whole_and_then_the_sweep_is_over(tmp_path: Path) -> None:
    for sampler in ("random", "tpe", "nsga2"):
        with Ledger.create(tmp_path / f"{sampler}.arrow", {"objectives": OBJECTIVES}) as ledger:
            sweep = sweep_of(ledger, space=FEW, sampler=sampler, trials=60)
            InProcess(FakePanel).run(sweep)
            sweep.check_closed()
            assert sweep.exhausted and sweep.finished
            assert {row["pixelate.block"] for row in ledger.trials()[A:]} == {8, 9, 10, 11, 12}
            assert len(ended(ledger)) == sweep.total == 5 + A


@pytest.mark.parametrize("order", ["first asked last", "killed"])
def test_no_trial_waits_for_another(order: str, tmp_path: Path) -> None:
    """Panels that take whatever is proposed, and lose it, or die with the driver: the sweep still ends."""
    path = tmp_path / "ledger.arrow"
    chance = random.Random(5)
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=FEW, sampler="random", trials=5)
        running = [proposal for _ in range(4) if (proposal := sweep.propose()) is not None]
        assert len({repr(p.anonymizer) for p in running}) == 4
        if order == "killed":
            sweep.lose(running[2].trial, "its machine is gone", blamed=False)
        else:
            for _ in range(30):
                sweep.lose(running[chance.randrange(4)].trial, "its machine is gone", blamed=False)
                again = sweep.propose()
                assert again in running
            for proposal in reversed(running):
                sweep.finish(proposal.trial, outcome_of(FakePanel(), proposal.anonymizer))
            InProcess(FakePanel).run(sweep)
            assert sweep.finished
            sweep.check_closed()
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, space=FEW, sampler="random", trials=5)
        InProcess(FakePanel).run(sweep)
        assert sweep.finished and len(ended(ledger)) == 5 + A
        sweep.check_closed()


def test_a_list_longer_than_the_trials_is_tried_whole(tmp_path: Path) -> None:
    listed = SearchSpace("listed", configurations=tuple(Pixelate(block=block) for block in range(2, 57)))
    rows = whole(tmp_path, space=listed, sampler="grid", trials=40)
    assert [row["pixelate.block"] for row in rows[A:]] == list(range(2, 57))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_finished_sweep_is_extended(sampler: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES, "trials": 12}) as ledger:
        sweep = sweep_of(ledger, sampler=sampler, trials=12)
        InProcess(FakePanel).run(sweep)
        first = ended(ledger)
    for trials, expected in ((20, 20 + A), (5, 20 + A)):
        with Ledger.open(path) as ledger:
            sweep = sweep_of(ledger, sampler=sampler, trials=trials)
            InProcess(FakePanel).run(sweep)
            sweep.check_closed()
            assert sweep.finished
            assert ended(ledger)[: 12 + A] == first and len(ended(ledger)) == expected


def test_an_answer_that_cannot_be_written_stays_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=3)
        proposal = sweep.propose()
        assert proposal is not None
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "append", raises(OSError(28, "No space left on device")))
            for _ in range(2):
                with pytest.raises(OSError, match="No space"):
                    sweep.finish(proposal.trial, outcome_of(FakePanel(), proposal.anonymizer))
        assert sweep.running == 1 and not sweep.rows
        sweep.finish(proposal.trial, outcome_of(FakePanel(), proposal.anonymizer))
        assert len(sweep.rows) == 1


def raises(error: Exception) -> Any:
    def call(*given: Any) -> None:
        raise error

    return call


def test_deaths_that_were_counted_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=3)
        for why, blamed in (("killed", True), ("its machine is gone", False), ("killed", True)):
            assert sweep.propose() is not None
            sweep.lose(0, why, blamed=blamed)
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, trials=3)
        assert sweep.propose() is not None
        sweep.lose(0, "killed", blamed=True)
        assert [row["status"] for row in ledger.trials()] == ["failed"]
        assert "panels died 3 times" in sweep.rows[0]["error"]


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
    with pytest.raises(ValueError, match="tpe, nsga2, nsga3, gp, qmc, random, grid"):
        make_sampler("magic", seed=0, trials=3)


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
        assert [row["trial"] for row in ledger.trials()] == list(range(3 + A))
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


def test_what_is_asked_ahead_is_proposed_next_and_after_a_kill_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=3)
        first = sweep.propose()
        for _ in range(5):
            sweep.ask_ahead(2)
        assert first is not None and sweep.running == 1
        second = sweep.propose()
        assert second is not None and second.trial == 1 and sweep.running == 2
        sweep.ask_ahead(0)
        assert [row["trial"] for row in ledger.events([])] == [0, 1, 2]
    with Ledger.open(path) as ledger:
        sweep = sweep_of(ledger, trials=3)
        assert sweep.running == 0 and [sweep.propose(), sweep.propose()] == [first, second]
        sweep.finish(0, outcome_of(FakePanel(), first.anonymizer))
        sweep.finish(1, outcome_of(FakePanel(), second.anonymizer))
        InProcess(FakePanel).run(sweep)
        sweep.check_closed()
        assert sweep.finished and len(ended(ledger)) == 3 + A


def test_a_sweep_stops_when_its_time_is_over(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger)
        sweep.deadline = sweep.started  # has passed
        assert sweep.spent == "--time-budget" and sweep.propose() is None
        sweep.deadline = sweep.started + 1e6
        assert sweep.spent is None and sweep.propose() is not None
