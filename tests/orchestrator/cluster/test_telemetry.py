"""Metrics scraped from a live run, and the Grafana dashboard that shows them."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
import ray

from orchestrator.cluster.on_ray import OnRay
from orchestrator.cluster.telemetry import FAILURES, GAUGES
from orchestrator.records.ledger import Ledger
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.slow_panel import MakeSlowPanel
from tests.helpers.sweeps import SEVENS, sweep_of
from tests.places import ROOT

DASHBOARD = ROOT / "clusters" / "grafana" / "sweep.json"
OURS = re.compile(r"ray_anonymization_\w+")


def expressions() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_fits_its_grid() -> None:
    board = json.loads(DASHBOARD.read_text())
    shown = {name for text in expressions() for name in OURS.findall(text)}
    assert shown == {f"ray_anonymization_{name}" for name in GAUGES} | {
        "ray_anonymization_queue_wait_seconds_bucket",
    }
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [(place["x"] + dx, place["y"] + dy) for place in places for dx in range(12) for dy in range(8)]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) == 23
    assert all("SessionName" in text for text in expressions())


@pytest.mark.slow
@pytest.mark.ray
def test_a_live_run_is_scraped(tmp_path: Path) -> None:
    ray.init(address="local", num_cpus=2, log_to_driver=False)
    try:
        with Ledger.create(tmp_path / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
            sweep = sweep_of(ledger, space=SEVENS, trials=40, sampler="grid")
            backend = OnRay(MakeSlowPanel(0.05), panels=2, gpus_per_panel=0, address=None)
            backend.run(sweep)
            node = ray.nodes()[0]
            address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            failed = sum(row["status"] == "failed" for row in sweep.rows)
            wanted = [
                f'ray_anonymization_trials{{.*state="complete".*}} {len(sweep.rows) - failed}.0',
                f'ray_anonymization_failures{{.*kind="configuration".*}} {failed}.0',
                f"ray_anonymization_queue_wait_seconds_count{{.*}} {len(sweep.rows)}.0",
            ]
            deadline = time.monotonic() + 60
            text = ""
            # Reported every few seconds, and not all in one report.
            while not all(re.search(line, text) for line in wanted) and time.monotonic() < deadline:
                text = urllib.request.urlopen(address, timeout=10).read().decode()
                time.sleep(0.5)
            backend.close()
    finally:
        ray.shutdown()
    for line in wanted:
        assert re.search(line, text), [shown for shown in text.splitlines() if "anonymization" in shown]
    scraped = set(OURS.findall(text))
    for name in {name for expression in expressions() for name in OURS.findall(expression)}:
        assert name in scraped, sorted(scraped)
    kinds = dict(re.findall(r'ray_anonymization_failures{.*kind="(\w+)".*} ([\d.]+)', text))
    assert set(kinds) == set(FAILURES)
    assert float(kinds["configuration"]) == failed > 0 and float(kinds["panel"]) == 0
    assert re.search(r"ray_anonymization_hypervolume{.*} 0\.[1-9]", text)
