"""What the orchestration costs: ms per trial when scoring is free, and the panel against its bare forward passes.

uv run python -m benchmarks.overhead
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from anonymizers import Anonymizer
from benchmarks.throughput import panel_ratio
from evaluators.metrics import METRICS, objectives_of
from evaluators.metrics.scores import Scores
from orchestrator.cluster.code import commit_here
from orchestrator.cluster.on_ray import OnRay
from orchestrator.records.ledger import Ledger
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.sweep import Sweep
from search_spaces import SPACES, SearchSpace

TRIALS = 200


class FreePanel:
    """Answer at once, with scores of the usual size."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def score(self, anonymizer: Anonymizer) -> Scores:
        rank1 = (hash(repr(anonymizer)) % 1000) / 1000
        values: dict[str, float | None] = dict.fromkeys(METRICS, 0.5)
        values["rank1_worst"] = rank1
        draws = {name: np.full(2000, 0.5, np.float32) for name in DEFAULT_OBJECTIVES}
        intervals = {name: (0.4, 0.6) for name, metric in METRICS.items() if metric.interval}
        return Scores(
            values,
            intervals,
            draws,
            n_probe=180,
            n_people=60,
            n_gallery=180,
            n_attacker=1000,
            chance_rank1=1 / 60,
            seconds=0.0,
        )

    def stages(self, anonymizer: Anonymizer) -> Iterator[Scores]:
        yield self.score(anonymizer)

    def released(self, anonymizer: Anonymizer, count: int) -> Any:
        raise RuntimeError("the free panel keeps no pictures")

    def describe(self) -> dict[str, Any]:
        return {}


@contextlib.contextmanager
def quiet_sweep(space: SearchSpace, *, sampler: str, trials: int) -> Iterator[Sweep]:
    """Give a sweep of the default objectives whose ledger is thrown away and whose progress is not shown."""
    objectives = objectives_of(DEFAULT_OBJECTIVES)
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as null,
        Ledger.create(Path(folder) / "ledger.arrow", {"objectives": objectives}) as ledger,
        PlainProgress(Console(file=null)) as progress,
    ):
        yield Sweep(space, objectives, ledger, progress, sampler=sampler, trials=trials, seed=0)


def sweep_ms(backend: InProcess | OnRay) -> float:
    """Return ms per trial of a sweep with the random sampler, whose own cost is least."""
    with quiet_sweep(SPACES["classical"], sampler="random", trials=TRIALS) as sweep:
        start = time.perf_counter()
        backend.run(sweep)
        assert sweep.finished
        return 1e3 * (time.perf_counter() - start) / TRIALS


def main() -> None:
    commit = commit_here()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, commit {commit}")
    score, bare, ratio = panel_ratio(500)
    print(f"panel.score on 500 probes: {score:.2f} s, bare passes {bare:.2f} s, ratio {ratio:.3f} (goal 1.2)")
    print(f"in process: {sweep_ms(InProcess(FreePanel)):.1f} ms per trial over {TRIALS} trials")
    backend = OnRay(FreePanel, panels=1, gpus_per_panel=0, address=None)
    sweep_ms(backend)  # the first sweep starts the couriers
    print(f"on Ray: {sweep_ms(backend):.1f} ms per trial over {TRIALS} trials (goal 40)")
    backend.close()


if __name__ == "__main__":
    main()
