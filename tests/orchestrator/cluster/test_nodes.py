"""Machines that come, go and give notice in the midst of a sweep, on a cluster of processes on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from orchestrator.cluster.on_ray import OnRay
from orchestrator.records.event_log import logged
from orchestrator.records.ledger import Ledger, read
from orchestrator.records.trials import EVENTS, LOST
from orchestrator.sweep.proposals import ANCHORS
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.slow_panel import MakeSlowPanel
from tests.helpers.sweeps import ended, sweep_of

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


class Disturbance(threading.Thread):
    """Do something to the cluster each time so many more trials have ended."""

    def __init__(self, ledger: Path, every: int, deeds: list[Callable[[], None]]) -> None:
        super().__init__(daemon=True)
        self.ledger, self.every, self.deeds = ledger, every, deeds
        self.done: list[float] = []

    def run(self) -> None:
        for number, deed in enumerate(self.deeds, start=1):
            while sum(s not in EVENTS for s in read(self.ledger).column("status").to_pylist()) < number * self.every:
                time.sleep(0.05)
            deed()
            self.done.append(time.time())


def test_machines_come_and_go_and_every_trial_ends_once(cluster: Cluster, tmp_path: Path) -> None:
    leaving: dict[str, Any] = {"first": cluster.add_node(num_cpus=1)}
    path = tmp_path / "ledger.arrow"

    def crash() -> None:
        cluster.remove_node(leaving["first"], allow_graceful=False)

    def join() -> None:
        # Cluster.add_node wants the main thread for its signal handlers.
        command = [
            Path(sys.executable).parent / "ray",
            "start",
            "--address",
            cluster.address,
            "--num-cpus",
            "1",
            "--block",
        ]
        leaving["process"] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def give_notice() -> None:
        deadline = time.time() + 60
        while len(events(tmp_path, "panel stands")) < 3 and time.time() < deadline:
            time.sleep(0.1)
        time.sleep(3)
        leaving["second"], leaving["notice"] = events(tmp_path, "panel stands")[-1]["node"], time.time()
        gcs = ray._raylet.GcsClient(address=cluster.address)
        accepted, reason = gcs.drain_node(leaving["second"], 2, "spot notice", int(1e3 * (time.time() + 600)))
        assert accepted, reason

    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger, logged(tmp_path / "log.jsonl"):
        sweep = sweep_of(ledger, trials=140, sampler="random")
        backend = OnRay(MakeSlowPanel(0.4), panels=None, gpus_per_panel=0, address=cluster.address)
        disturbance = Disturbance(path, 15, [crash, join, give_notice])
        disturbance.start()
        backend.run(sweep)
        disturbance.join(timeout=1)
        backend.close()
        leaving["process"].terminate()
        leaving["process"].wait(30)
        sweep.check_closed()
        rows = ended(ledger)
        lost = [row["error"] for row in ledger.table().to_pylist() if row["status"] == LOST]
    assert len(disturbance.done) == 3
    assert [row["trial"] for row in rows] == list(range(140 + len(ANCHORS)))
    assert all(row["status"] == "complete" or "seven divides it" in row["error"] for row in rows)
    assert len(lost) <= 1  # what was on the machine that crashed
    starts = defaultdict(list)
    for event in events(tmp_path, "trial starts"):
        starts[event["node"]].append(event)
    assert len(starts) == 3 and all(len(found) >= 3 for found in starts.values())
    after = [e for e in starts[leaving["second"]] if stamp(e) > leaving["notice"] + 2]
    assert not after, "a machine that was given notice gets no more trials"


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] == name]


def stamp(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def test_a_full_object_store_spills_and_the_sweep_goes_on(tmp_path: Path) -> None:
    ray.init(address="local", num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
    try:
        with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
            sweep = sweep_of(ledger, trials=5, sampler="random")
            backend = OnRay(MakeSlowPanel(0.0, ballast=bytes(200 * 2**20)), panels=1, gpus_per_panel=0, address=None)
            backend.run(sweep)
            backend.close()
            assert len(ended(ledger)) == 5 + len(ANCHORS)
    finally:
        ray.shutdown()
