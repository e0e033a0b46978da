"""The loop on Ray: Tune runs thin couriers, panel actors keep faces and networks and do the work.

driver: Sweep proposes ──config──> Tune trial (a courier, reused) ──≈100 B──> panel actor: score
driver: racing, row, front <──result── courier <──── Scores, after each stage ─────┘
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray import tune
from ray.tune.search import Searcher

from anonymizers import Anonymizer, Faces
from orchestrator.cluster.courier import Courier, ParetoRacing, Starts, courier_resources
from orchestrator.cluster.environment import join, ray_logs
from orchestrator.cluster.panel_actor import arrays_of, faces_of, first_of
from orchestrator.cluster.panel_pool import PanelPool
from orchestrator.cluster.panel_seat import Seat
from orchestrator.cluster.preflight import check_cluster, look_around
from orchestrator.cluster.telemetry import Telemetry
from orchestrator.sweep.interruption import asked, held
from orchestrator.sweep.outcome import First, PanelFactory
from orchestrator.sweep.sweep import Sweep

log = logging.getLogger(__name__)

MAX_LOST_COURIERS = 20
"""Couriers that may die in a row, no trial having ended between; then it is not chance."""
MAX_LOSSES = 10
"""Losses of a trial by machines and couriers; after so many it is blamed itself, as one that fills their memory."""
COURIER_PATIENCE = 180.0
"""Seconds that a courier may take to start, no other having started meanwhile; then it never will."""
AFTER_INTERRUPTION = 8.0
"""Seconds that the pictures of the report may take after an interruption: a panel may be at work for minutes."""


@dataclass
class Carried:
    """Say which trial a courier carries, to which panel, since when."""

    trial: int
    seat: Seat
    since: float
    started: bool = False


class SweepSearcher(Searcher):  # type: ignore[misc]
    """Feed Tune from a Sweep: gives each trial to a panel with room, and brings the outcome home.

    Ray 2.60's own OptunaSearch leaves a trial with a NaN or missing objective running for ever when there are several
    objectives; here every trial ends as what it is, and one whose panel, machine or courier died is tried again.
    """

    def __init__(self, sweep: Sweep, pool: PanelPool, namespace: str) -> None:
        super().__init__()
        self.sweep = sweep
        self.namespace = namespace
        # One trial per panel: Tune 2.60 keeps only one idle courier alive, and starting another costs it seconds.
        self.pool = pool
        self.carried: dict[str, Carried] = {}
        self.lost_couriers = 0
        self.losses: Counter[int] = Counter()
        self.telemetry = Telemetry()
        self.failure: Exception | None = None
        """What went wrong while an answer was taken; Tune would go on with a trial that is gone."""

        self.last_start = time.perf_counter()

    def starts(self, trial_id: str) -> None:
        """Note that a courier has started with its trial."""
        self.last_start = time.perf_counter()
        if trial_id in self.carried:
            self.carried[trial_id].started = True

    def suggest(self, trial_id: str) -> Any:
        """Return the next configuration, None while all panels are busy, FINISHED at the end.

        Raises:
            KeyboardInterrupt: if the end was asked for; here no row is half written.
            RuntimeError: if couriers do not start, for whose end Tune would wait.
        """
        if asked():
            raise KeyboardInterrupt
        waiting = [carried.since for carried in self.carried.values() if not carried.started]
        if waiting and time.perf_counter() - max(min(waiting), self.last_start) > COURIER_PATIENCE:
            raise RuntimeError(
                f"expected Ray to start the process of a trial within {COURIER_PATIENCE:.0f} s, it did not; its reason "
                f"is in {ray_logs()}/runtime_env_setup*.log and raylet.err; --resume goes on"
            )
        if self.failure is None:
            try:
                return self._propose(trial_id)
            except Exception as failure:
                self.failure = failure
        return Searcher.FINISHED

    def _propose(self, trial_id: str) -> Any:
        if self.pool.keep_up():
            self.telemetry.look(self.sweep, self.pool)
        if not self.pool.free:
            # With one panel the next configuration waits for this one's outcome, as it does in process.
            self.sweep.ask_ahead(len(self.pool.standing) // 2 if len(self.pool.standing) <= 16 else 8)
            return None
        proposal = self.sweep.propose()
        if proposal is None:
            return None if self.carried else Searcher.FINISHED
        seat = self.pool.take()
        assert seat is not None
        what = repr(proposal.anonymizer)
        facts = {"trial": proposal.trial, "anonymizer": what, "panel": seat.name, "node": seat.node}
        log.info("trial starts", extra=facts)
        self.carried[trial_id] = Carried(proposal.trial, seat, time.perf_counter())
        self.sweep.progress.trial_starts(proposal.trial, proposal.anonymizer)
        return {
            "anonymizer": ray.cloudpickle.dumps(proposal.anonymizer),
            "what": what,
            "panel": seat.name,
            "namespace": self.namespace,
            "staged": self.sweep.racing is not None,
        }

    def stops(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tell Tune's scheduler whether a trial ends with what is known after a stage."""
        if self.failure is None:
            try:
                answer = ray.cloudpickle.loads(result["answer"])
                return self.sweep.ends(self.carried[trial_id].trial, answer["outcome"])
            except Exception as failure:
                self.failure = failure
        return True

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Finish the trial, or take it back where no outcome came home; after Ctrl-C it stays unfinished."""
        if self.failure is None:
            try:
                self._take(trial_id, result, error)
            except Exception as failure:
                self.failure = failure

    def _take(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        carried = self.carried.pop(trial_id)
        trial, seat = carried.trial, carried.seat
        facts = {"trial": trial, "panel": seat.name, "node": seat.node}
        if result is not None and "answer" in result:
            answer = ray.cloudpickle.loads(result["answer"])
            self.pool.give_back(seat.name)
            self.lost_couriers = 0
            self.telemetry.wait.observe(max(0.0, time.perf_counter() - carried.since - answer["seconds"]))
            for note in answer["notes"]:
                log.warning(note, extra=facts)
            if isinstance(answer["outcome"], str):
                self.telemetry.failures["configuration"] += 1
            if self.sweep.ends(trial, answer["outcome"]):  # else Tune let it go on its own, as after an interruption
                self.sweep.finish(trial, answer["outcome"])
        elif result is not None and "lost" in result:
            blamed = self.pool.died(seat.name, result["lost"], process=result["died"])
            self.telemetry.failures["panel" if blamed else "machine"] += 1
            log.warning("trial lost", extra=facts | {"reason": result["lost"], "blamed": blamed})
            self._lose(trial, f"{seat.name} on {seat.node[:8]}: {result['lost']}", blamed=blamed)
        elif error:
            # Its panel may still be at work on the trial: the next one waits in the actor's queue.
            self.pool.give_back(seat.name, answered=False)
            self.lost_couriers += 1
            self.telemetry.failures["courier"] += 1
            log.warning("courier lost", extra=facts)
            if self.lost_couriers >= MAX_LOST_COURIERS:
                raise RuntimeError(
                    f"{self.lost_couriers} of Tune's trials died in a row before any reached a panel; see Ray's logs, "
                    "--resume goes on"
                )
            self._lose(trial, "its courier died", blamed=False)

    def _lose(self, trial: int, why: str, *, blamed: bool) -> None:
        """Take a trial back; one that is lost again and again is the cause, whatever else it looks like."""
        self.losses[trial] += 1
        self.sweep.lose(trial, why, blamed=blamed or self.losses[trial] > MAX_LOSSES)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger is the record from which a sweep resumes."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the sweep out where Tune pickles its searcher for a snapshot that is never read."""
        return {}


class OnRay:
    """Keep panel actors on a Ray cluster, or on a local one started for the purpose, and run sweeps on them."""

    def __init__(
        self,
        make_panel: PanelFactory,
        *,
        panels: int | None,
        gpus_per_panel: float | None,
        address: str | None,
        needs_gpu: bool = False,
        files: Sequence[str] = (),
        told: Callable[[str], None] = lambda step: None,
        first: First | None = None,
    ) -> None:
        """Start or join Ray and wait until the first panel stands; the others join when they do.

        Args:
            make_panel: called in each actor.
            panels: how many; None for one per GPU share, or one per node where there are no GPUs.
            gpus_per_panel: share of a GPU that each panel holds; 0 for CPU only, None for what memory allows.
            address: of a running cluster, or None for a local one.
            needs_gpu: whether panels wait for a GPU where the cluster has none yet, rather than do without.
            files: networks that every machine must have, as paths.
            told: is told of each step.
            first: runs once in a process with a panel's share of a machine, before there are panels, and makes
                `make_panel` anew.

        Raises:
            ValueError: if the machines of the cluster do not fit together, or none of them has a GPU that was asked
                for.
            Exception: what making a panel raises in its actor.
        """
        self.started = not ray.is_initialized()
        if self.started:
            told("starting Ray on this machine" if address is None else f"joining the Ray cluster at {address}")
            dashboard = join(address, cpus=panels or 1)
            told(f"Ray {ray.__version__} is up{f', its dashboard at {dashboard}' if dashboard else ''}")
        self.namespace = ray.get_runtime_context().namespace
        self.pool: PanelPool | None = None
        try:
            device, here = "cpu" if gpus_per_panel == 0 else "cuda", None
            known = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
            if len(known) > 1:
                told(f"asking the {len(known)} machines of the cluster whether they fit together")
                check_cluster(files, device=device)
            if address is not None:
                here = look_around("here", 0.0, files)  # machines that join are compared with it
            gpus_later: float | None = 0.0
            if not ray.cluster_resources().get("GPU"):
                if needs_gpu and (address is None or panels is None):
                    raise ValueError(
                        "--device cuda: expected a GPU, Ray counts none; use --device cpu, or on a cluster that gets "
                        "machines when they are asked for --panels N"
                    )
                if not needs_gpu:
                    gpus_later = 0.0 if address is None else gpus_per_panel
                    gpus_per_panel = 0.0
            ray.util.register_serializer(Faces, serializer=arrays_of, deserializer=faces_of)
            self.make = make_panel if first is None else self._first(first, gpus_per_panel, told)
            self._make_panel = ray.put(self.make)  # fetched once per node
            self.pool = PanelPool(
                self._make_panel,
                wanted=panels,
                gpus_per_panel=gpus_per_panel,
                gpus_later=gpus_later,
                here=here,
                files=files,
                known=known,
            )
            self._facts = self.pool.wait(told)
        except BaseException:
            self.close()
            raise

    def _first(self, first: First, gpus: float | None, told: Callable[[str], None]) -> PanelFactory:
        """Run what comes before the panels, as one task of Ray's."""
        told(first.step)
        task = ray.remote(num_cpus=1, num_gpus=1.0 if gpus is None else gpus, max_retries=0)(first_of)
        made: PanelFactory = ray.get(task.remote(ray.cloudpickle.dumps(ray.put(first))))
        return made

    def describe(self) -> dict[str, Any]:
        """Return the facts of the panels: networks, device, the teacher's calibration."""
        return self._facts

    def run(self, sweep: Sweep) -> None:
        """Let Tune run the sweep; its own files go to a temporary folder that is removed."""
        assert self.pool is not None
        scratch = Path(tempfile.mkdtemp(prefix="tune-"))
        searcher = SweepSearcher(sweep, self.pool, self.namespace)
        racing = ParetoRacing(searcher.stops)
        try:
            tuner = tune.Tuner(
                # A courier does no work; it must never wait for a CPU that a panel holds.
                tune.with_resources(Courier, courier_resources()),
                tune_config=tune.TuneConfig(search_alg=searcher, scheduler=racing, num_samples=-1, reuse_actors=True),
                run_config=tune.RunConfig(
                    name="sweep", storage_path=str(scratch), verbose=0, callbacks=[Starts(searcher.starts)]
                ),
            )
            with held():
                tuner.fit()
            if searcher.failure is not None:
                raise searcher.failure
            searcher.telemetry.look(sweep, self.pool)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB: what the method makes of the first probes of different people."""
        assert self.pool is not None
        self.pool.wait()
        seat = (self.pool.free or self.pool.standing)[0]
        asking = seat.actor.released.remote(anonymizer, count)
        pictures: NDArray[np.uint8] = ray.get(asking, timeout=AFTER_INTERRUPTION if asked() else None)
        return pictures

    def close(self) -> None:
        """End the panels, and Ray if it was started here."""
        if self.pool is not None:
            self.pool.close()
        if self.started:
            ray.shutdown()
