"""The whole command where machines are odd: each of these once ended in a traceback, in silence, or never."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.sweep.proposals import ANCHORS
from tests.places import ROOT

pytestmark = pytest.mark.slow
QUICK = ("-m", "tests.helpers.quick_search", "--objective", "rank1_worst", "--objective", "expression_kept")
BACKENDS = [pytest.param("inprocess"), pytest.param("ray", marks=pytest.mark.ray)]
LIMIT = 300
"""Seconds that a search of a few trials may take on a machine that does other things."""


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "FORCE_COLOR")}
    return {**kept, **variables}


def search(*options: str, root: Path = ROOT, **how: object) -> subprocess.CompletedProcess[str]:
    command = [str(how.pop("python", sys.executable)), *QUICK, *options]
    how = {"capture_output": True, "env": environment(), **how}
    return subprocess.run(command, cwd=root, text=True, check=False, timeout=LIMIT, **how)  # type: ignore[call-overload,no-any-return]


def begun(out: Path, variables: Mapping[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, *QUICK, "--out", str(out), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, env=environment(**variables), **pipes)  # type: ignore[call-overload,no-any-return]


def count(out: Path) -> int:
    return len(pq.read_table(out / "trials.parquet"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder whose sitecustomize.py Python runs first."""
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def sited(site: Path, code: str) -> dict[str, str]:
    (site / "sitecustomize.py").write_text(code)
    return environment(PYTHONPATH=os.pathsep.join((str(site), str(ROOT))))


def test_standard_output_that_is_closed_costs_no_tables(tmp_path: Path) -> None:
    command = ["bash", "-c", 'exec "$@" >&-', "bash", sys.executable, *QUICK, "--backend", "inprocess"]
    command += ["--trials", "2", "--out", str(tmp_path / "r")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    assert count(tmp_path / "r") == 2 + len(ANCHORS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pipe_that_closes_costs_no_tables(backend: str, tmp_path: Path) -> None:
    process = begun(tmp_path / "r", {}, "--backend", backend, "--trials", "3")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(LIMIT) == 0
    assert count(tmp_path / "r") == 3 + len(ANCHORS)


def test_colors_that_are_forced_move_nothing_in_a_log(tmp_path: Path) -> None:
    asked = ("--backend", "inprocess", "--trials", "2", "--out", str(tmp_path / "r"))
    done = search(*asked, env=environment(FORCE_COLOR="1"))
    assert done.returncode == 0, done.stderr
    assert "[5/5]" in done.stdout and "\x1b[2K" not in done.stdout and "A\x1b" not in done.stdout


def test_a_file_system_without_locks_is_told_and_serves(site: Path, tmp_path: Path) -> None:
    refuses = "import errno, fcntl\ndef flock(*a):\n    raise OSError(errno.ENOLCK, 'No locks')\nfcntl.flock = flock\n"
    asked = ("--backend", "inprocess", "--trials", "1", "--out", str(tmp_path / "r"))
    done = search(*asked, env=sited(site, refuses))
    assert done.returncode == 0, done.stderr
    assert "grants no locks" in (tmp_path / "r" / "log.jsonl").read_text()


@pytest.mark.ray
def test_a_user_without_a_home_folder_searches(site: Path, tmp_path: Path) -> None:
    nobody = "import pwd\ndef getpwuid(uid):\n    raise KeyError(uid)\npwd.getpwuid = getpwuid\n"
    variables = sited(site, nobody)
    del variables["HOME"]
    done = search("--trials", "1", "--out", str(tmp_path / "r"), env=variables)
    assert done.returncode == 0, done.stderr
    assert count(tmp_path / "r") == 1 + len(ANCHORS)


@pytest.mark.ray
def test_a_long_tmpdir_does_not_reach_rays_sockets(tmp_path: Path) -> None:
    long = tmp_path / ("j" * 90)
    long.mkdir()
    done = search("--trials", "1", "--out", str(tmp_path / "r"), env=environment(TMPDIR=str(long)))
    assert done.returncode == 0, done.stderr


def test_an_address_that_nobody_answers_at_is_said_within_half_a_minute(tmp_path: Path) -> None:
    variables = environment(RAY_ADDRESS="127.0.0.1:1")
    search("--backend", "inprocess", "--trials", "1", "--out", str(tmp_path / "warm"))  # what imports take is not meant
    start = time.monotonic()
    done = search("--trials", "1", "--out", str(tmp_path / "r"), env=variables)
    assert done.returncode == 2 and "--address 127.0.0.1:1: expected a Ray cluster, none answered" in done.stderr
    assert time.monotonic() - start < 60


@pytest.mark.ray
@pytest.mark.parametrize("name", ["my project", "a & (b); 'c' $HOME", "結果 é"])
def test_a_checkout_may_lie_below_any_path(name: str, tmp_path: Path) -> None:
    project = tmp_path / name / "project"
    project.mkdir(parents=True)
    for part in ("anonymizers", "evaluators", "orchestrator", "search_spaces", "tests"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    (project / ".venv").symlink_to(Path(sys.prefix))
    out = tmp_path / "結果 é 1"
    python = project / ".venv" / "bin" / "python"
    done = search("--trials", "1", "--out", str(out), root=project, python=python)
    assert done.returncode == 0, done.stderr
    assert count(out) == 1 + len(ANCHORS) and (out / "report.html").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_sigterm_ends_with_tables_and_resume_goes_on(backend: str, tmp_path: Path) -> None:
    out = tmp_path / "r"
    process = begun(out, {"TRIAL_SECONDS": "1"}, "--backend", backend, "--trials", "12")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("[ 3/15]"):
            break
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, errors
    assert "asked to end (SIGTERM):" in errors and "Traceback" not in errors
    assert 3 <= count(out) < 12 + len(ANCHORS)
    assert "--resume goes on" in " ".join(told.split())
    assert search("--backend", "inprocess", "--resume", "--out", str(out)).returncode == 0
    assert count(out) == 12 + len(ANCHORS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 120 kB, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_disk_that_fills_is_a_sentence_and_resume_goes_on(backend: str, small_disk: Path) -> None:
    out = small_disk / "r"
    full = search("--backend", backend, "--trials", "60", "--out", str(out))
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert "No space left on device" in full.stderr and str(out) in full.stderr
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    again = search("--backend", "inprocess", "--resume", "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert count(out) == 60 + len(ANCHORS)


@pytest.mark.ray
def test_a_second_search_runs_beside_the_first(tmp_path: Path) -> None:
    searches = [
        begun(tmp_path / name, {"TRIAL_SECONDS": "1"}, "--trials", "4", "--seed", str(n)) for n, name in enumerate("ab")
    ]
    for process, name in zip(searches, "ab", strict=True):
        _, errors = process.communicate(timeout=2 * LIMIT)
        assert process.returncode == 0, errors
        assert count(tmp_path / name) == 4 + len(ANCHORS)


def test_a_gpu_that_is_not_there_is_said_before_ray_starts(tmp_path: Path) -> None:
    hidden = environment(CUDA_VISIBLE_DEVICES="")
    done = search("--device", "cuda", "--trials", "1", "--out", str(tmp_path / "r"), env=hidden)
    assert done.returncode == 2 and done.stdout == "", done.stdout
    assert "--device cuda: expected a GPU that torch sees, got none; use --device cpu" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinities")
def test_a_panel_takes_no_more_threads_than_it_may_have_cores() -> None:
    code = (
        "import os, torch\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from orchestrator.cluster.environment import allowed_cores\n"
        "from orchestrator.cluster.panel_actor import share_cores\n"
        "share_cores(1)\nprint(allowed_cores(), os.environ['OMP_NUM_THREADS'], torch.get_num_threads())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "1 1 1\n", done.stderr
