"""What Ray is started with, and what is joined: without starting any."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from orchestrator.cluster import environment
from orchestrator.cluster.environment import allowed_cores, answering, join, short_folder


def test_cores_are_those_of_the_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert allowed_cores(tmp_path, tmp_path / "none") == 3


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000", "job/cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "20000 100000"}, 1),
        (
            "4:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "300000", "cpu,cpuacct/a/cpu.cfs_period_us": "1e5"},
            8,
        ),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("4:memory:/a\n", {"cpu.max": "100000 100000"}, 8),
        ("", {}, 8),
    ],
)
def test_cores_are_no_more_than_the_quota(
    own: str, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name, text in {**files, "own": own}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert allowed_cores(tmp_path, tmp_path / "own") == cores


def test_files_of_a_local_ray_lie_where_sockets_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert short_folder() is None
    for name in ("j" * 90, "é" * 20):  # 40 bytes
        monkeypatch.setenv("TMPDIR", f"/tmp/{name}")
        short = short_folder()
        assert short is not None and len(str(short)) + environment.SOCKET <= environment.LONGEST
    monkeypatch.setattr(environment.os, "getuid", lambda: "no/such/user")
    with pytest.raises(OSError, match="set RAY_TMPDIR to a short one"):
        short_folder()


def test_who_has_no_home_gets_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(environment.Path, "home", unknown)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setenv("PYTHONPATH", "")
    environment.set_environment()
    assert Path(environment.os.environ["HOME"]).is_dir()


def test_an_address_is_host_and_port() -> None:
    for address in ("nonsense", "host:", ":6379", "host:port"):
        with pytest.raises(ValueError, match="expected host:port, ray://host:port or auto"):
            answering(address)


def test_an_address_where_nothing_answers_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ANSWER", 1.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ValueError, match=f"none answered at {address}"):
            join(address)
        assert time.monotonic() - start < 25


def test_advice_is_what_would_help_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", lambda *_: None)
    with pytest.raises(ValueError, match=r"there is none; start one with ray start --head; a search or training with"):
        answering("auto")  # `cluster` asks for auto itself: to leave --address out, which was said, would not help


def test_a_server_that_is_no_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ANSWER", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        accept = threading.Thread(target=server.accept, daemon=True)
        accept.start()  # takes the connection and says nothing
        with pytest.raises(ValueError, match="expected a Ray cluster, none answered"):
            answering(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_path_that_pythonpath_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ROOT", "/home/some:one/project")
    with pytest.raises(ValueError, match="expected a project below a path without ':'"):
        join(None)
