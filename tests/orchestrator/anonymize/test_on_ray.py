"""On a cluster the same files come out as on one machine, whatever dies, and a run that is cut off goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.helpers.drawn_faces import CRASHES, FAILS, LINGERS, called, is_face, marked, picture
from tests.helpers.made_videos import frames_in, make_video
from tests.places import ROOT

CLUSTER = """
import sys
from orchestrator.cluster.environment import set_environment
set_environment()
from ray.cluster_utils import Cluster
made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
made.add_node(num_cpus=1)
print(made.address, flush=True)
sys.stdin.read()
made.shutdown()
"""
COMMAND = """
import sys
from orchestrator.anonymize import configuration
from orchestrator.anonymize.__main__ import app
from tests.helpers.drawn_faces import DrawnTreatment
configuration.Treatment, configuration.is_pulled = DrawnTreatment, lambda folder, name: True
app(sys.argv[1:])
"""


@dataclass(frozen=True)
class Running:
    """Hold the address of a cluster, and what is in the environment of those who may join it."""

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two machines of one core each, as processes; who has not their token is not let in."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "token").write_text("0123456789abcdef" * 4)
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    environment |= {"PYTHONPATH": str(ROOT)}
    # On a busy machine.
    environment |= {"RAY_raylet_start_wait_time_s": "120", "RAY_agent_register_timeout_ms": "120000"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    lines = iter(process.stdout.readline, "")
    address = next((line.strip() for line in lines if line.strip().rpartition(":")[2].isdigit()), "")
    assert address, "the cluster did not start"
    yield Running(address, environment)
    process.stdin.close()
    process.wait(60)


def words(source: Path, out: Path, *method: str) -> list[str]:
    models = source.parent / "models"
    models.mkdir(exist_ok=True)
    return [str(source), str(out), "--models", str(models), "--seed", "1", "--method", *(method or ("blackout",))]


def start(cluster: Running, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(out: Path) -> list[dict[str, object]]:
    table = pq.read_table(out / "manifest.parquet").to_pylist()
    assert isinstance(table, list)
    return table


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("drawn_finder")
def test_a_cluster_releases_what_one_machine_does_and_loses_nothing(cluster: Running, tmp_path: Path) -> None:
    source = tmp_path / "in 森"
    for n in range(6):
        (source / f"顔 {n}").mkdir(parents=True)
        Image.fromarray(picture(300, 240, [(150, 120, 80)], seed=n)).save(source / f"顔 {n}" / "two\nlines.jpg")
    make_video(source / "film.mp4", [picture(320, 240, [(60 + 4 * t, 120, 70)]) for t in range(12)])
    Image.fromarray(picture(300, 240, seed=77)).save(source / "nobody.png")
    (source / "broken.png").write_text("no picture")
    (source / "notes.txt").write_text("a text")
    blur = ("blur", "--set", "kernel=71")
    said = called(*words(source, tmp_path / "one", *blur), "--processes", "1")
    assert said.exit_code == 0, said.output
    for name, deed in (("crashes.png", CRASHES), ("fails.png", FAILS)):
        Image.fromarray(marked(picture(300, 240, [(150, 120, 80)]), deed)).save(source / name)
    process = start(cluster, *words(source, tmp_path / "ray", *blur), "--address", cluster.address)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "failed: 2, not released" in output

    one, other = files(tmp_path / "one"), files(tmp_path / "ray")
    del one["manifest.parquet"], other["manifest.parquet"]
    assert len(one) == 7 and one.keys() == other.keys()
    # Pictures are the same bytes. A video's encoder has as many threads as its process has cores, and words it so.
    assert one.pop("film.mp4")[4:12] == other.pop("film.mp4")[4:12] and one == other
    films = [np.stack(frames_in(tmp_path / where / "film.mp4")).astype(int) for where in ("one", "ray")]
    assert films[0].shape == films[1].shape and np.abs(films[0] - films[1]).mean() < 0.5  # gray levels
    there = rows(tmp_path / "ray")
    failed = {str(row["file"]): str(row["why"]) for row in there if row["status"] == "failed"}
    assert failed == {
        "crashes.png": "3 processes died at it, one after the other",
        "fails.png": "RuntimeError: a picture on which the detector fails",
    }
    assert [row for row in there if row["file"] not in failed] == rows(tmp_path / "one")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("drawn_finder")
def test_ctrl_c_leaves_whole_files_and_the_rest_is_done_without_a_cluster(cluster: Running, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(40):
        pixels = marked(picture(300, 240, [(150, 120, 80)], seed=n), LINGERS)
        Image.fromarray(pixels).save(source / f"{n:02}.png")
    process = start(cluster, *words(source, out), "--address", cluster.address)
    late = time.monotonic() + 240
    while len(list(out.glob("*.png"))) < 6 and time.monotonic() < late and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume goes on" in output, output
    time.sleep(1)
    there = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 6 <= len(there) < 40 and not (out / "manifest.parquet").exists()
    for path in there:
        with Image.open(path) as released:
            assert not is_face(np.asarray(released.convert("RGB"))).any()
    said = called(*words(source, out), "--processes", "1", "--resume")
    assert said.exit_code == 0, said.output
    again = [path for path, written in there.items() if path.stat().st_mtime_ns != written]
    assert len(again) <= 6  # finished on the cluster, and not told yet
    assert set(files(out)) == {*(f"{n:02}.png" for n in range(40)), "manifest.parquet"}
    assert len(rows(out)) == 40


@pytest.mark.ray
@pytest.mark.slow
def test_what_a_machine_cannot_make_ready_is_told(cluster: Running, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    Image.fromarray(picture(300, 240, [(150, 120, 80)])).save(source / "a.png")
    lacking = ("--background", str(tmp_path / "people"), "--address", cluster.address)
    process = start(cluster, *words(source, out), *lacking)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 2, output
    assert output.endswith(f"error: --background: expected people, {tmp_path / 'people'} has none\n")
    assert "Traceback" not in output and "RuntimeError" not in output
    assert not list(out.glob("*.png")) and not list((out / ".anonymize").glob(".anonymize-*"))


@pytest.mark.ray
@pytest.mark.slow
def test_who_has_not_the_token_is_told(cluster: Running, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(picture(300, 240, [(150, 120, 80)])).save(source / "a.png")
    (tmp_path / "token").write_text("f" * 64)
    stranger = Running(cluster.address, {**cluster.environment, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})
    process = start(stranger, *words(source, tmp_path / "out"), "--address", cluster.address)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2 and "--address" in output and "Traceback" not in output, output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("drawn_finder")
def test_an_address_where_nothing_answers_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.cluster.environment.ANSWER", 0.5)
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(picture(300, 240, [(150, 120, 80)])).save(source / "a.png")
    for address, sentence in (
        ("127.0.0.1:9", "expected a Ray cluster, none answered at 127.0.0.1:9"),
        ("ray://127.0.0.1:9", "on a machine of the cluster"),
        ("somewhere", "expected host:port"),
    ):
        said = called(*words(source, tmp_path / "out"), "--address", address)
        assert said.exit_code == 2 and "--address" in said.output and sentence in said.output, said.output
    assert not (tmp_path / "out").exists()
    assert "RAY_BACKEND_LOG_LEVEL" not in os.environ  # what is started later would write that it was set
