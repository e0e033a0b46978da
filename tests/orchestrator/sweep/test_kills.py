"""The driver killed at random instants: the finished sweep holds every trial once, and is the uninterrupted one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.records.ledger import read
from orchestrator.records.trials import ASKED, EVENTS
from orchestrator.sweep.proposals import ANCHORS
from tests.helpers.killed_driver import TRIALS, descendants, title
from tests.places import ROOT

KILLS = 20


@pytest.mark.slow
def test_killed_twenty_times_the_sweep_is_the_uninterrupted_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.helpers.killed_driver", str(tmp_path), str(KILLS), "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole, killed = (pq.read_table(tmp_path / name / "trials.parquet") for name in ("whole", "killed"))
    assert killed.column("trial").to_pylist() == list(range(TRIALS + len(ANCHORS)))
    assert killed.drop_columns(["seconds"]).to_pylist() == whole.drop_columns(["seconds"]).to_pylist()
    fronts = [pq.read_table(tmp_path / name / "front.parquet") for name in ("whole", "killed")]
    assert fronts[0].drop_columns(["seconds"]).to_pylist() == fronts[1].drop_columns(["seconds"]).to_pylist()
    # It was disturbed in the midst of trials: some had been asked for and were asked of the panel again.
    starts = Counter(line.split('"trial": ')[1].split(",")[0] for line in log_of(tmp_path / "killed", "trial starts"))
    assert sum(count > 1 for count in starts.values()) >= 3
    ends = Counter(line.split('"trial": ')[1].split(",")[0] for line in log_of(tmp_path / "killed", "trial ended"))
    # A kill between the ledger's row and the log's line costs the log that line, never the ledger a row.
    assert max(ends.values()) == 1


def log_of(folder: Path, event: str) -> list[str]:
    return [line for line in (folder / "log.jsonl").read_text().splitlines() if f'"event": "{event}"' in line]


@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_driver_takes_its_ray_with_it_and_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = [sys.executable, "-m", "tests.helpers.small_search", "--trials", "6", "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "ledger.arrow").exists() and read(out / "ledger.arrow").num_rows >= 6:
            break
        time.sleep(0.1)
    # Ray's two agents see only after a minute that their raylet is gone; they hold neither networks nor ports of ours.
    mine = [pid for pid in descendants(process.pid) if not title(pid).endswith("Agent")]
    process.kill()
    process.communicate()
    finished = [row for row in read(out / "ledger.arrow").to_pylist() if row["status"] not in EVENTS]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in mine) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(mine) > 3 and not any(Path(f"/proc/{pid}").exists() for pid in mine)
    again = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    trials = pq.read_table(out / "trials.parquet")
    assert trials.column("trial").to_pylist() == list(range(6 + len(ANCHORS)))
    assert set(trials.column("status").to_pylist()) <= {"complete", "stopped"}
    kept = {row["trial"]: row["seconds"] for row in trials.to_pylist()}
    assert all(kept[row["trial"]] == row["seconds"] for row in finished)  # none ran twice
    events = Counter((row["trial"], row["status"]) for row in read(out / "ledger.arrow").to_pylist())
    assert all(count == 1 for (_, status), count in events.items() if status in (ASKED, "complete"))
