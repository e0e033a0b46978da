"""Run a sweep in a child that is killed at random instants and resumed, until it ends; the driver of test_kills.

python -m tests.helpers.killed_driver FOLDER KILLS SEED: FOLDER/whole is the uninterrupted sweep, FOLDER/killed the
other.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import Networks
from orchestrator.search import families
from orchestrator.search import run as program
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.inprocess import InProcess
from tests.helpers.staged_panel import MakeStagedPanel

TRIALS = 120
SECONDS = 0.02


def sweep(folder: Path, resume: bool) -> int:
    settings = Settings(space="classical", trials=TRIALS, out=folder, resume=resume)
    return program.run(settings, FaceChoice(), Networks(), Machines(), Console(file=Path(os.devnull).open("w")))


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    faces = demo_protocol(seed=0, evaluated=10)
    # The program as it is, but for what is scored: everything before and after is the real code.
    program.load_protocol = lambda choice, networks, console, signals, trained: faces  # type: ignore[assignment]

    def make_backend(make: Any, machines: Any, told: Any, learn: Any) -> InProcess:
        backend = InProcess(MakeStagedPanel(SECONDS))
        backend.make = learn()
        return backend

    program.make_backend = make_backend
    program._contact_sheet = lambda front, backend: None  # type: ignore[assignment,return-value]
    program.write_report = lambda *given: None  # type: ignore[assignment]
    digest = program.measuring_digest()  # once: the kills are to meet trials, not the reading of the source
    program.measuring_digest = families.measuring_digest = lambda: digest  # type: ignore[assignment]
    assert sweep(folder / "whole", False) == 0
    chance = random.Random(seed)
    done = 0
    while done < kills:
        child = os.fork()
        if child == 0:
            os._exit(sweep(folder / "killed", (folder / "killed" / "ledger.arrow").exists()))
        time.sleep(chance.uniform(0.0, 0.6))
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, status
            raise SystemExit(f"the sweep was over after {done} of {kills} kills: make it longer")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done += 1
    assert sweep(folder / "killed", (folder / "killed" / "ledger.arrow").exists()) == 0


if __name__ == "__main__":
    main()


def title(pid: int) -> str:
    """Return what a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0].strip()
    except FileNotFoundError:
        return ""


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    children = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in path.read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]
