"""Ray: a local one of one's own or the cluster at an address, and what it reads from the environment.

Without an address nothing on the machine is joined, whatever was started there or left behind; a local Ray listens on
the loopback interface alone. Some of the environment is read already when Ray is imported, so it is set before.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])

ANSWER = 15.0
"""Seconds that a cluster has to answer at its address."""
LONGEST = 107
"""Bytes of the path of a socket."""
SOCKET = len("/session_2026-01-02_03-04-05_678901_2345678/sockets/plasma_store")
ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable; "0" makes loopback a node's address, as it is by default on other systems."""

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the record; no five files per trial
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # orchestrator.sweep.interruption has its own
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
    try:
        Path.home()
    except RuntimeError:  # a user whom the machine does not know, as in containers; Ray asks for it, and needs none
        os.environ["HOME"] = tempfile.gettempdir()
    here = [ROOT, str(Path.cwd())]
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(part for part in [*here, *before] if part))


def allowed_cores(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Return how many cores this process may use: those of its affinity, and no more than its quota.

    A container with --cpus=1 has a quota, which neither the count of cores nor the affinity shows.

    Args:
        root: where the control groups are mounted.
        own: says which of them are this process's.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root, own))]))


def _quotas(root: Path, own: Path) -> list[float]:
    """Read the quotas, in cores, of the process's control groups and of those above; version 2 and version 1."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        mounted = [root / name for name in ("cpu", controllers)] if controllers else [root, root / "unified"]
        for mount in mounted:
            for place in (group, *group.parents):
                found += _quota(mount / place)
    return found


def _quota(folder: Path) -> list[float]:
    """Read the quota of one control group, if it has one."""
    try:
        if (folder / "cpu.max").is_file():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return [int(most) / int(period)] if most not in ("max", "-1") else []
    except (OSError, ValueError):
        return []


def join(address: str | None, *, cpus: int = 1) -> str:
    """Join the cluster at an address, or start a Ray of one's own where it is None.

    Args:
        address: host:port, ray://host:port, or "auto" for the cluster that runs on this machine.
        cpus: that a local Ray has at least, however few cores there are.

    Returns:
        Where Ray's dashboard is, "" if there is none.

    Raises:
        ValueError: if nothing answers at the address, another version of Ray does, or the project lies where Ray's
            processes do not find it.
        OSError: if a local Ray finds no folder for its files.
        RuntimeError: if a local Ray does not start.
    """
    set_environment()
    own = address in (None, "local")
    if own:
        if os.pathsep in ROOT:
            raise ValueError(f"expected a project below a path without {os.pathsep!r}, for PYTHONPATH, got {ROOT}")
        os.environ[ON_LOOPBACK] = "0"
    import ray
    from ray._private import ray_constants

    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if (quoted := shlex.quote(sys.executable)) != sys.executable:
        # Ray hands it to a shell as it is, wherever an actor has a runtime environment, as Tune's have.
        given["runtime_env"] = {"py_executable": quoted}
    with _signals_kept():
        if own:
            ray_constants.ENABLE_RAY_CLUSTER = False  # it was imported before the variable was set, perhaps
            folder = short_folder()
            temporary = {} if folder is None else {"_temp_dir": str(folder)}
            try:
                context = ray.init(address="local", num_cpus=max(cpus, allowed_cores()), **temporary, **given)
            except Exception as error:  # of any type, for any of its processes that was too slow
                raise RuntimeError(
                    f"Ray could not be started on this machine ({' '.join(str(error).split())[:300]}); if it is busy "
                    "try again, or go without Ray (--backend inprocess)"
                ) from error
        else:
            assert address is not None
            if os.environ.pop(ON_LOOPBACK, None) is not None:
                ray_constants.ENABLE_RAY_CLUSTER = True
            found = answering(address)
            try:
                context = ray.init(address=found, **given)
            except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                raise ValueError(f"--address {address}: {' '.join(str(error).split())[:400]}") from None
    url = getattr(context, "dashboard_url", None)
    return f"http://{url}" if url else ""


def check_address(address: str) -> None:
    """Check how an address is written; nobody is asked.

    Raises:
        ValueError: if it is none.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address not in ("auto", "local") and not (host and "/" not in host and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"--address: expected host:port, ray://host:port or auto, got {address!r}")


def answering(address: str) -> str:
    """Return the address, "auto" resolved, if something answers there in the way that Ray's head does.

    Raises:
        ValueError: if nothing does within ANSWER seconds.
    """
    if address != "auto":
        check_address(address)
    import grpc
    from ray._private import services

    where = address
    if address == "auto":
        try:
            where = services.canonicalize_bootstrap_address("auto", None) or ""
        except ConnectionError:
            where = ""
        if not where:
            raise ValueError(
                "--address auto: expected a Ray cluster on this machine, there is none; start one with ray start "
                "--head; a search or training without --address (RAY_ADDRESS unset) starts one of its own"
            )
    check_address(where)
    host, _, port = where.removeprefix("ray://").rpartition(":")
    if os.environ.get("RAY_USE_TLS", "0") in ("", "0"):
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=ANSWER)
            except grpc.FutureTimeoutError:
                left = ", which was left behind by one that ended (ray stop clears it)" if address == "auto" else ""
                raise ValueError(
                    f"--address {address}: expected a Ray cluster, none answered at {where} within {ANSWER:.0f} s{left}"
                    "; check that its head runs; a search or training without --address (RAY_ADDRESS unset) "
                    "starts a Ray of its own"
                ) from None
    return where


def short_folder() -> Path | None:
    """Return where a local Ray keeps its files if the folder for temporary files is too long for sockets, else None.

    Raises:
        OSError: if it is, and no other can be written.
    """
    default = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"
    if len(os.fsencode(default)) + SOCKET <= LONGEST:
        return None
    short = Path("/tmp") / f"ray-{os.getuid()}"
    try:
        short.mkdir(mode=0o700, exist_ok=True)
        (short / ".writable").touch()
    except OSError as error:
        raise OSError(
            f"expected a folder for temporary files of at most {LONGEST - SOCKET - 4} bytes, for Ray's sockets"
            f", got {default.parent}, and {short} cannot be written ({error.strerror}); set RAY_TMPDIR to a short one"
        ) from None
    return short


def ray_logs() -> str:
    """Return the folder of the logs of the Ray that runs here."""
    import ray

    node = ray._private.worker._global_node
    return str(node.get_logs_dir_path()) if node is not None else "Ray's logs"


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what SIGTERM does here: Ray takes it over, and ends the process by it, as it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        if error.code == signal.SIGTERM:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
