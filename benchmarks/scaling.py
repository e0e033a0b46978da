"""How a sweep scales: one and two panels on this machine, and up to 256 sleeping panels of a simulated cluster.

uv run python -m benchmarks.scaling [--seconds S]

The simulation runs the real driver (Optuna's sampler, the ledger with its fsync, the front) against panels that only
take time, on a space whose points never repeat. The clock of the panels is simulated, that of the driver is real: each
of its calls is timed, one at a time, as in Tune's loop. What Tune and Ray add per trial is what benchmarks.overhead
measures, given as a constant.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer, Choice, Context, Faces, Real
from anonymizers.ranges import ranged
from benchmarks.overhead import FreePanel, quiet_sweep
from evaluators.demo.protocol import demo_protocol
from orchestrator.cluster.code import commit_here
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from search_spaces import SPACES, SearchSpace

RAY_SECONDS = 0.033
"""What Tune, courier and panel actor add to a trial, on Ray 2.60 (benchmarks.overhead)."""
SPREAD = 0.25
"""Durations of trials lie so far around their mean, evenly: those of the classical methods on LFW do."""
ROUNDS = 20
"""Trials per panel."""


@dataclass(frozen=True)
class Simulated(Anonymizer):
    """A method that exists in this benchmark alone; it is never applied."""

    method: ClassVar[str] = "simulated"
    strength: float = ranged(Real(0.0, 1.0))
    size: float = ranged(Real(1.0, 100.0, log=True))
    variant: str = ranged(Choice(("one", "two")))

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        raise RuntimeError("simulated panels keep no faces")


def simulated(panels: int, seconds: float, sampler: str, ray_seconds: float = RAY_SECONDS) -> tuple[float, float]:
    """Return the efficiency with so many panels, and the driver's mean time per trial, s.

    Efficiency is the panels' working time over panels x the time from start to end, ends included.
    """
    ANONYMIZERS["simulated"] = Simulated
    space = SearchSpace("simulated", methods=("simulated",))
    chance, free_panel = random.Random(0), FreePanel()
    with quiet_sweep(space, sampler=sampler, trials=ROUNDS * panels) as sweep:
        now = worked = driver = 0.0
        free, running = panels, []
        while True:
            while free:
                start = time.perf_counter()
                proposal = sweep.propose()
                now += (took := time.perf_counter() - start + ray_seconds)
                driver += took
                if proposal is None:
                    break
                length = seconds * chance.uniform(1 - SPREAD, 1 + SPREAD)
                worked += length
                heapq.heappush(running, (now + length, proposal.trial, proposal.anonymizer))
                free -= 1
            if not running:
                break
            end, trial, anonymizer = heapq.heappop(running)
            now = max(now, end)
            outcome = free_panel.score(anonymizer)
            start = time.perf_counter()
            sweep.finish(trial, outcome)
            now += (took := time.perf_counter() - start)
            driver += took
            free += 1
        assert sweep.finished
        return worked / (panels * now), driver / sweep.total


def faces_per_second(panels: int) -> float:
    """Return the faces per second of a short sweep on the demo world with so many panels on this machine."""
    from orchestrator.cluster.on_ray import OnRay
    from orchestrator.search.make_panel import MakePanel

    make = MakePanel(demo_protocol(seed=0), None, DEFAULT_OBJECTIVES, device="cpu")
    backend = OnRay(make, panels=panels, gpus_per_panel=0, address=None)
    assert backend.pool is not None
    while len(backend.pool.standing) < panels:
        backend.pool.keep_up()
        time.sleep(0.1)
    with quiet_sweep(SPACES["classical"], sampler="random", trials=12) as sweep:
        start = time.perf_counter()
        backend.run(sweep)
        rate = sweep.faces / (time.perf_counter() - start)
    backend.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 10.0], help="mean length of a trial")
    parser.add_argument("--panels", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--samplers", nargs="+", default=["tpe", "nsga2", "random"])
    parser.add_argument("--no-ray", action="store_true", help="leave out the panels on this machine")
    options = parser.parse_args()
    commit = commit_here()
    print(f"commit {commit}; simulated panels, {ROUNDS} trials each")
    for seconds in options.seconds:
        for sampler in options.samplers:
            cells = []
            for panels in options.panels:
                efficiency, driver = simulated(panels, seconds, sampler)
                cells.append(f"{panels}: {efficiency:.3f} ({1e3 * driver:.0f} ms)")
            print(f"trials of {seconds:g} s, {sampler}: efficiency by panels (driver per trial): {', '.join(cells)}")
    if not options.no_ray:
        one, two = faces_per_second(1), faces_per_second(2)
        print(f"this machine, demo world, CPU: 1 panel {one:.0f} faces/s, 2 panels {two:.0f}, ratio {two / one:.2f}")


if __name__ == "__main__":
    main()
