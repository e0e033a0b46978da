"""What courier, scheduler and searcher make of a panel's answers after each stage, by hand: no Ray is started."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray

from orchestrator.cluster.courier import ParetoRacing
from orchestrator.cluster.on_ray import SweepSearcher
from orchestrator.cluster.panel_actor import PanelActor
from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.staged_panel import MakeStagedPanel, StagedPanel
from tests.helpers.sweeps import ended, sweep_of

TRIALS = 30


class OneSeat:
    """A pool of one panel."""

    def __init__(self) -> None:
        self.seat = SimpleNamespace(name="panel", node="here", busy=False)

    @property
    def free(self) -> list[Any]:
        return [] if self.seat.busy else [self.seat]

    def keep_up(self) -> bool:
        return False

    def take(self) -> Any:
        self.seat.busy = True
        return self.seat

    def give_back(self, name: str, *, answered: bool = True) -> None:
        self.seat.busy = False


def test_answers_after_each_stage_are_decided_on_as_in_process(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "here.arrow", {"objectives": OBJECTIVES}) as ledger:
        InProcess(MakeStagedPanel()).run(sweep_of(ledger, sampler="random", trials=TRIALS, racing=True))
        here = ended(ledger)
    actor = PanelActor.__new__(PanelActor)
    actor.__dict__["panel"] = StagedPanel()
    asked: list[bool] = []
    with Ledger.create(tmp_path / "there.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, sampler="random", trials=TRIALS, racing=True)
        searcher = SweepSearcher(sweep, OneSeat(), "")  # type: ignore[arg-type]
        scheduler = ParetoRacing(searcher.stops)
        for n in range(200):
            carried = searcher.suggest(str(n))
            if not isinstance(carried, dict):
                break
            for step in range(9):  # as the courier's steps do
                answer, done = actor.score(carried["anonymizer"], begins=step == 0, staged=carried["staged"])
                asked.append(step == 0)
                result = {"answer": answer, "done": done}
                trial = SimpleNamespace(trial_id=str(n))
                if done or scheduler.on_trial_result(None, trial, result) == scheduler.STOP:
                    break
            searcher.on_trial_complete(str(n), result)
            assert searcher.failure is None
        assert sweep.finished
        sweep.check_closed()
        assert ended(ledger) == here
    stopped = sum(row["status"] == "stopped" for row in here)
    assert stopped >= 5 and asked.count(True) == len(here) and ray.is_initialized() is False
