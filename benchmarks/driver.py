"""What the driver costs at ten thousand trials: ms a trial, early and late, memory, and resuming, for every sampler.

uv run python -m benchmarks.driver [--trials N] [--samplers NAME ...] [--panels P]

The panels are simulated and score at once, by the formula of benchmarks.samplers, with the intervals and replicates of
real scores, in two stages; the driver is the real one: proposals on that benchmark's space, racing, ledger
with its fsync, front, tables. With several panels so many trials are under way, and end in random order. Each sampler
has a process of its own, whose memory is told beyond what the imports took.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from rich.console import Console

from benchmarks.overhead import FreePanel
from benchmarks.samplers import OBJECTIVES, SPACE, truth
from evaluators.metrics.scores import Scores
from orchestrator.cluster.code import commit_here
from orchestrator.records.ledger import Ledger
from orchestrator.records.tables import write_tables
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.study import SAMPLERS
from orchestrator.sweep.sweep import Proposal, Sweep

WINDOW = 200
"""Trials whose mean is the cost at a place of the sweep."""


def scores_of(proposal: Proposal, usual: Scores) -> Scores:
    """Return scores of the usual size whose objectives are the formula's."""
    measured = truth(proposal.anonymizer)
    draws = {name: np.float32(measured[name]) + usual.replicates[name] - np.float32(0.5) for name in OBJECTIVES}
    return Scores(
        {**usual.values, **measured},
        usual.intervals,
        draws,
        n_probe=usual.n_probe,
        n_people=usual.n_people,
        n_gallery=usual.n_gallery,
        n_attacker=usual.n_attacker,
        chance_rank1=usual.chance_rank1,
        seconds=0.0,
    )


def early_of(scores: Scores) -> Scores:
    """Return what is known after the first stage: all but a tenth of the risk."""
    risk, draws = scores["rank1_worst"], scores.replicates["rank1_worst"]
    return replace(
        scores,
        values={**scores.values, "rank1_worst": 0.9 * risk},
        intervals={name: ends for name, ends in scores.intervals.items() if name != "rank1_worst"},
        replicates={**scores.replicates, "rank1_worst": draws - np.float32(0.1 * risk)},
        stage="readers",
    )


def run(sweep: Sweep, panels: int) -> list[float]:
    """Run a sweep to its end; return the seconds of CPU that the driver took for each trial."""
    usual, chance = FreePanel().score(SPACE.examples()[0]), random.Random(0)
    running: list[Proposal] = []
    seconds = []
    while not sweep.finished:
        began = time.process_time()
        while len(running) < panels and (proposal := sweep.propose()) is not None:
            running.append(proposal)
        took = time.process_time() - began
        proposal = running.pop(chance.randrange(len(running)))
        outcome = scores_of(proposal, usual)
        early = early_of(outcome)
        began = time.process_time()
        if sweep.ends(proposal.trial, early):
            outcome = early
        sweep.finish(proposal.trial, outcome)
        seconds.append(took + time.process_time() - began)
    return seconds


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(sampler: str, trials: int, panels: int, folder: Path) -> str:
    """Measure one sampler; return a row of the table."""
    imports = megabytes()
    path, facts = folder / "ledger.arrow", {"objectives": OBJECTIVES, "trials": trials}
    with Path(os.devnull).open("w") as null, PlainProgress(Console(file=null)) as progress:
        progress.start({"name": "driver", **facts}, trials)
        with Ledger.create(path, facts) as ledger:
            sweep = Sweep(SPACE, OBJECTIVES, ledger, progress, sampler=sampler, trials=trials, seed=0, racing=True)
            wall = time.perf_counter()
            seconds = run(sweep, panels)
            wall = time.perf_counter() - wall
            grown = megabytes()
        began = time.process_time()
        with Ledger.open(path) as ledger:
            Sweep(SPACE, OBJECTIVES, ledger, progress, sampler=sampler, trials=trials, seed=0, racing=True)
            resumed = time.process_time() - began
            began = time.process_time()
            write_tables(ledger.table(), facts, folder)
            tables = time.process_time() - began
    early, late = (1e3 * float(np.mean(part)) for part in (seconds[500 : 500 + WINDOW], seconds[-WINDOW:]))
    cells = [
        sampler,
        f"{1e3 * float(np.mean(seconds)):.1f} ({1e3 * wall / len(seconds):.1f})",
        f"{early:.1f}",
        f"{late:.1f}",
        f"{late / early:.2f}",
        f"{grown - imports:.0f}",
        f"{resumed:.1f}",
        f"{tables:.1f}",
        f"{megabytes():.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--panels", type=int, default=1)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--here", action="store_true", help="measure in this process")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.here:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(options.samplers[0], options.trials, options.panels, Path(folder)), flush=True)
        return
    commit = commit_here()
    print(f"commit {commit}; {options.trials} trials, {options.panels} panels, simulated")
    print("ms of CPU a trial (with waiting for disk and others), MB, s of CPU\n")
    head = (
        "sampler",
        "mean",
        "at 500",
        "at the end",
        "ratio",
        "memory of the sweep",
        "resume",
        "tables",
        "memory at most",
    )
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for sampler in options.samplers:
        command = [sys.executable, "-m", "benchmarks.driver", "--here", "--samplers", sampler]
        subprocess.run([*command, "--trials", str(options.trials), "--panels", str(options.panels)], check=True)


if __name__ == "__main__":
    main()
