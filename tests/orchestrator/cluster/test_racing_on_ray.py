"""Racing on Ray: the decisions are those in process, and a panel or courier that dies takes none with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.cluster.on_ray import OnRay
from orchestrator.records.front import front_rows
from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.proposals import ANCHORS
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.killed_driver import descendants, title
from tests.helpers.staged_panel import MakeStagedPanel
from tests.helpers.sweeps import sweep_of

pytestmark = [pytest.mark.slow, pytest.mark.ray]
TRIALS = 40


@pytest.fixture
def no_ray() -> Iterator[None]:
    assert not ray.is_initialized()
    yield
    ray.shutdown()


def raced(path: Path, backend: Any, *, racing: bool = True) -> list[dict[str, Any]]:
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, sampler="random", trials=TRIALS, racing=racing)
        backend.run(sweep)
        sweep.check_closed()
        assert sweep.finished
        return [{k: v for k, v in row.items() if k != "seconds"} for row in ledger.trials()]


def test_one_panel_on_ray_decides_as_in_process_and_a_killed_one_changes_nothing(tmp_path: Path, no_ray: None) -> None:
    here = raced(tmp_path / "here.arrow", InProcess(MakeStagedPanel()))
    backend = OnRay(MakeStagedPanel(0.1), panels=1, gpus_per_panel=0, address=None)
    killer = threading.Timer(2.0, kill_the_panel)
    killer.start()
    try:
        there = raced(tmp_path / "there.arrow", backend)
    finally:
        killer.cancel()
        backend.close()
    assert [row["trial"] for row in there] == list(range(TRIALS + len(ANCHORS)))
    assert sum(row["status"] == "stopped" for row in there) >= 5
    assert there == here
    plain = raced(tmp_path / "plain.arrow", InProcess(MakeStagedPanel()), racing=False)
    assert [r["trial"] for r in front_rows(there, OBJECTIVES)] == [r["trial"] for r in front_rows(plain, OBJECTIVES)]


def kill_the_panel() -> None:
    """Kill whatever panel is at rest or at work."""
    for pid in descendants(os.getpid()):
        if title(pid).startswith(("ray::PanelActor", "ray::score")):
            os.kill(pid, signal.SIGKILL)
