"""From nothing but what `pull` gets to a front on real faces, where the registries answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from evaluators.networks.catalog.published import DEFAULT_SET, ZOO
from tests.helpers.pulled import pulled_network
from tests.places import ROOT


@pytest.mark.slow
@pytest.mark.real
def test_a_search_runs_on_what_was_pulled_alone(shared: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in DEFAULT_SET:
        path = models / ZOO[name].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(pulled_network(name) / ZOO[name].path)
    people = [p for p in sorted((shared / "data" / "lfw").iterdir()) if 10 <= len(list(p.iterdir())) <= 20][:24]
    (tmp_path / "faces").mkdir()
    for person in people:
        (tmp_path / "faces" / person.name).symlink_to(person)
    command = [sys.executable, "-m", "orchestrator.search", "--data", str(tmp_path / "faces"), "--models", str(models)]
    command += ["--backend", "inprocess", "--trials", "3", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = " ".join(done.stdout.split())
    assert "embedder faceplugin by" in told and "detector centerface" in told
    assert "edgeface_xs, by default the embedder, is not there" in told
    rows = pq.read_table(tmp_path / "out" / "trials.parquet").to_pylist()
    assert {row["status"] for row in rows} == {"complete"}
    assert all(row["lpips"] is not None for row in rows)  # a column for everyone who pulled
    clear = next(row for row in rows if row["method"] == "identity")
    assert clear["rank1_fixed"] > 0.9 and clear["lpips"] == 0
