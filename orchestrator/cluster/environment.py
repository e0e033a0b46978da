"""What Ray reads from the environment; some of it already when it is imported, so set it before."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record; no five files per trial
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Under `uv run` Ray copies the project and makes an environment of its own for the workers: 10 s, and on a cluster
    # the nodes are set up already, which the preflight checks.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Threads that wait spinning slow a panel down several times as soon as anything else runs on its cores.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def set_environment() -> None:
    """Set what is not set yet, and let workers of a local Ray import the program and a user's own space."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    here = [ROOT, str(Path.cwd())]
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(part for part in [*here, *before] if part))


def join(address: str | None) -> None:
    """Join a Ray cluster, or start a local one where the address is None."""
    set_environment()
    import ray

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
