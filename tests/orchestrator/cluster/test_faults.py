"""Panels, couriers and machines that die in the midst of a sweep: every trial ends once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from anonymizers import Pixelate
from orchestrator.cluster.on_ray import OnRay
from orchestrator.cluster.panel_seat import shares_of
from orchestrator.records.ledger import Ledger
from orchestrator.records.trials import LOST
from orchestrator.sweep.proposals import ANCHORS
from orchestrator.sweep.sweep import LEAST_DEATHS
from search_spaces import SearchSpace
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.killed_driver import descendants, title
from tests.helpers.slow_panel import Deadly, MakeSlowPanel, Unmakeable, Vanishing
from tests.helpers.sweeps import ended, sweep_of, whole

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture
def no_ray() -> Iterator[None]:
    assert not ray.is_initialized()
    yield
    ray.shutdown()


VICTIMS = ("ray::PanelActor", "ray::with_resources", "ray::Courier", "ray::score")
"""How Ray titles the processes of panels and couriers, at rest and at work."""


def victims() -> list[int]:
    """Return the panels and couriers that live now, among the processes of this one."""
    return [pid for pid in descendants(os.getpid()) if title(pid).startswith(VICTIMS)]


class Chaos(threading.Thread):
    """SIGKILL a random panel or courier every few seconds."""

    def __init__(self, seed: int, pause: tuple[float, float]) -> None:
        super().__init__(daemon=True)
        self.chance = random.Random(seed)
        self.pause = pause
        self.over = threading.Event()
        self.killed: list[str] = []

    def run(self) -> None:
        while not self.over.wait(self.chance.uniform(*self.pause)):
            if found := victims():
                pid = self.chance.choice(found)
                self.killed.append(title(pid))
                os.kill(pid, signal.SIGKILL)


def test_chaos_loses_nothing_and_doubles_nothing(tmp_path: Path, no_ray: None) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=100, sampler="random")
        backend = OnRay(MakeSlowPanel(0.3), panels=2, gpus_per_panel=0, address=None)
        chaos = Chaos(5, (3.0, 5.0))
        chaos.start()
        try:
            backend.run(sweep)
        finally:
            chaos.over.set()
            chaos.join()
            backend.close()
        sweep.check_closed()
        assert sweep.finished
        rows, events = ended(ledger), ledger.table().select(["trial", "status"]).to_pylist()
    (tmp_path / "calm").mkdir()
    calm = {row["anonymizer"]: row for row in whole(tmp_path / "calm", trials=100, sampler="random")}
    assert [row["trial"] for row in rows] == list(range(100 + len(ANCHORS)))
    for row in rows:
        same = calm[row["anonymizer"]]
        assert {k: v for k, v in row.items() if k != "trial"} == {k: v for k, v in same.items() if k != "trial"}
    print(f"killed {len(chaos.killed)}: {chaos.killed}; lost {sum(event['status'] == LOST for event in events)}")
    assert len(chaos.killed) >= 3


def test_a_configuration_that_kills_its_panels_fails_and_the_others_go_on(tmp_path: Path, no_ray: None) -> None:
    space = SearchSpace("deadly", configurations=(Pixelate(4), Pixelate(8), Pixelate(16)))
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, space=space, trials=3, sampler="grid")
        backend = OnRay(Deadly, panels=2, gpus_per_panel=0, address=None)
        backend.run(sweep)
        backend.close()
        rows = {row["anonymizer"]: row for row in ledger.trials()}
        lost = [row for row in ledger.table().to_pylist() if row["status"] == LOST]
    assert [row["status"] for row in rows.values()] == [*["complete"] * len(ANCHORS), "complete", "failed", "complete"]
    failed = rows[repr(Pixelate(8))]
    assert f"panels died {LEAST_DEATHS} times while they worked on it" in failed["error"]
    assert len(lost) == LEAST_DEATHS - 1 and {row["trial"] for row in lost} == {failed["trial"]}
    assert all("ActorDiedError" in row["error"] for row in lost)


def test_a_panel_that_cannot_be_made_is_the_runs_own_error(no_ray: None) -> None:
    with pytest.raises(ValueError, match="the networks of this run are not there"):
        OnRay(Unmakeable, panels=1, gpus_per_panel=0, address=None)  # type: ignore[arg-type]


def test_panels_that_die_while_they_are_made_end_the_run_with_a_sentence(no_ray: None) -> None:
    with pytest.raises(RuntimeError, match="5 panels in a row died while they were made"):
        OnRay(Vanishing, panels=1, gpus_per_panel=0, address=None)  # type: ignore[arg-type]


def test_as_many_panels_share_a_gpu_as_its_memory_holds(tmp_path: Path, no_ray: None) -> None:
    assert [shares_of(case) for case in (None, (5, 16), (1, 100), (90, 100), (95, 100))] == [1, 2, 8, 1, 1]
    ray.init(
        address="local", num_cpus=4, num_gpus=1, include_dashboard=False, log_to_driver=False
    )  # a GPU for Ray's bookkeeping alone
    backend = OnRay(MakeSlowPanel(0.05), panels=None, gpus_per_panel=None, address=None)
    pool = backend.pool
    assert pool is not None
    deadline = time.monotonic() + 120
    while len(pool.standing) < 2 and time.monotonic() < deadline:
        pool.keep_up()
        time.sleep(0.05)
    assert (pool.gpus_per_panel, len(pool.seats), len(pool.standing)) == (0.5, 2, 2)
    with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, trials=6, sampler="random")
        backend.run(sweep)
        assert sweep.finished
    backend.close()
