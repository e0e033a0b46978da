"""The loop on Ray: Tune runs thin couriers, panel actors keep faces and networks and do the work.

driver: Sweep proposes ──config──> Tune trial (a courier, reused) ──≈100 B──> panel actor: score
driver: ledger row, front <──result── courier <──── Scores ────────────────────────┘
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray import tune
from ray.tune.search import Searcher

from anonymizers import Anonymizer
from orchestrator.courier import Courier
from orchestrator.inprocess import PanelFactory
from orchestrator.panel_actor import PanelActor
from orchestrator.sweep import Sweep

ROOT = str(Path(__file__).resolve().parent.parent)

TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record; no five files per trial
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Threads that wait spinning slow a panel down several times as soon as anything else runs on its cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}


class SweepSearcher(Searcher):  # type: ignore[misc]
    """Feed Tune from a Sweep: gives each trial to a panel with room, and brings the outcome home.

    Ray 2.60's own OptunaSearch leaves a trial with a NaN or missing objective running for ever when there are several
    objectives; here every trial ends as what it is.
    """

    def __init__(self, sweep: Sweep, panels: list[str], namespace: str) -> None:
        super().__init__()
        self.sweep = sweep
        self.namespace = namespace
        # One trial per panel: Tune 2.60 keeps only one idle courier alive, and starting another costs it seconds.
        self.free = deque(panels)
        self.carried: dict[str, tuple[int, str]] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next configuration, None while all panels are busy, FINISHED at the end."""
        if not self.free:
            return None
        proposal = self.sweep.propose()
        if proposal is None:
            return None if self.sweep.running else Searcher.FINISHED
        panel = self.free.popleft()
        self.carried[trial_id] = (proposal.trial, panel)
        return {"anonymizer": ray.cloudpickle.dumps(proposal.anonymizer), "panel": panel, "namespace": self.namespace}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Finish the trial; without an outcome (the courier died, or Ctrl-C) it failed or stays unfinished."""
        trial, panel = self.carried.pop(trial_id)
        self.free.append(panel)
        if result is not None and "outcome" in result:
            self.sweep.finish(trial, ray.cloudpickle.loads(result["outcome"]))
        elif error:
            self.sweep.finish(trial, "the courier of this trial died; see Ray's logs")

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
        self, make_panel: PanelFactory, *, panels: int | None, gpus_per_panel: float, address: str | None
    ) -> None:
        """Start or join Ray and wait until every panel stands.

        Args:
            make_panel: called in each actor.
            panels: how many; None for one per GPU share, or one per node where there are no GPUs.
            gpus_per_panel: share of a GPU that each panel holds; 0 for CPU only.
            address: of a running cluster, or None for a local one.

        Raises:
            Exception: what making a panel raises in its actor.
        """
        for key, value in TUNE_ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        # Workers of a local Ray inherit this: they import the program and a user's own space as the driver does.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, str(Path.cwd()), os.environ.get("PYTHONPATH")]))
        self.started = not ray.is_initialized()
        if self.started:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        self.namespace = ray.get_runtime_context().namespace
        gpus = ray.cluster_resources().get("GPU", 0.0) if gpus_per_panel > 0 else 0.0
        if panels is None:
            panels = int(gpus / gpus_per_panel) if gpus else sum(node["Alive"] for node in ray.nodes())
        tag = uuid.uuid4().hex[:8]
        self.names = [f"panel-{tag}-{i}" for i in range(panels)]
        reference = ray.cloudpickle.dumps(ray.put(make_panel))
        share = gpus_per_panel if gpus else 0
        remote = ray.remote(PanelActor)
        self.actors = [
            remote.options(name=name, num_cpus=1, num_gpus=share, max_restarts=2, max_task_retries=1).remote(reference)
            for name in self.names
        ]
        try:
            self._facts: dict[str, Any] = ray.get([actor.describe.remote() for actor in self.actors])[0]
        except ray.exceptions.RayTaskError as error:
            self.close()
            raise error.cause from None
        except BaseException:
            self.close()
            raise

    def describe(self) -> dict[str, Any]:
        """Return the facts of the panels: networks, device, the teacher's calibration."""
        return self._facts

    def run(self, sweep: Sweep) -> None:
        """Let Tune run the sweep; its own files go to a temporary folder that is removed."""
        scratch = Path(tempfile.mkdtemp(prefix="tune-"))
        try:
            tuner = tune.Tuner(
                # A courier does no work; it must never wait for a CPU that a panel holds.
                tune.with_resources(Courier, {"cpu": 0.001}),
                tune_config=tune.TuneConfig(
                    search_alg=SweepSearcher(sweep, self.names, self.namespace), num_samples=-1, reuse_actors=True
                ),
                run_config=tune.RunConfig(name="sweep", storage_path=str(scratch), verbose=0),
            )
            tuner.fit()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB: what the method makes of the first probes of different people."""
        pictures: NDArray[np.uint8] = ray.get(self.actors[0].released.remote(anonymizer, count))
        return pictures

    def close(self) -> None:
        """End the panels, and Ray if it was started here."""
        for actor in self.actors:
            ray.kill(actor)
        if self.started:
            ray.shutdown()
