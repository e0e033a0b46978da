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

from rich.console import Console

from evaluators.demo.protocol import demo_protocol
from orchestrator.search import run as program
from orchestrator.search.settings import Settings
from orchestrator.sweep.inprocess import InProcess
from search_spaces import SPACES
from tests.helpers.slow_panel import MakeSlowPanel

TRIALS = 120
SECONDS = 0.02


def sweep(folder: Path, resume: bool) -> int:
    settings = Settings(SPACES["classical"], "classical", trials=TRIALS, out=folder, resume=resume, backend="inprocess")
    return program.run(settings, Console(file=Path(os.devnull).open("w")))


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    faces = demo_protocol(seed=0, evaluated=10)
    # The program as it is, but for what is scored: everything before and after is the real code.
    program.load_protocol = lambda settings, console: faces  # type: ignore[assignment]
    program._backend = lambda settings, protocol: InProcess(MakeSlowPanel(SECONDS))  # type: ignore[assignment]
    program._contact_sheet = lambda front, backend: None  # type: ignore[assignment,return-value]
    program.write_report = lambda *given: None  # type: ignore[assignment]
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
