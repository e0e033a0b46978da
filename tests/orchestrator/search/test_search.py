"""The command line: bad input gets one sentence and exit code 2 before anything heavy; good input leaves a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from orchestrator.records.ledger import read
from orchestrator.search.__main__ import app
from orchestrator.sweep.proposals import ANCHORS
from tests.places import ROOT


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def people_folder(root: Path, pictures: int) -> Path:
    for name in ("Ada", "Bo", "Cy"):
        (root / name).mkdir(parents=True)
        for number in range(pictures):
            Image.new("RGB", (60, 60), (40 * number, 90, 20)).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--space", "atlantis"], "--space: expected one of classical_grid"),
        (["--space", "no.such.module:SPACE"], "--space no.such.module:SPACE"),
        (["--space", "json:dumps"], "expected a SearchSpace, got function"),
        (
            ["--space", "published_generators"],
            "ganonymization: expected its network in <models>/generation/ganonymization.ckpt, no folder of models was",
        ),
        (["--trials", "0"], "--trials: expected at least 1, got 0"),
        (["--time-budget", "0"], "--time-budget: expected more than 0"),
        (["--max-faces", "0"], "--max-faces: expected at least 1"),
        (["--seed", "-1"], "--seed: expected at least 0"),
        (["--sampler", "magic"], "--sampler: expected one of tpe"),
        (["--backend", "abacus"], "--backend: expected one of ray, inprocess"),
        (["--device", "tpu"], "--device: expected one of auto, cpu, cuda"),
        (["--gpus-per-panel", "half"], "--gpus-per-panel: expected a number or auto, got 'half'"),
        (["--gpus-per-panel", "-1"], "--gpus-per-panel: expected at least 0, got -1"),
        (["--panels", "0"], "--panels: expected at least 1"),
        (["--objective", "beauty", "--objective", "ssim"], "got 'beauty'"),
        (["--objective", "ssim"], "expected two or three different metrics"),
        (["--objective", "ssim", "--objective", "ssim"], "expected two or three different metrics"),
        (["--objective", "rank1_worst", "--objective", "lpips"], "--objective lpips: cannot be measured"),
        (["--objective", "rank1_worst", "--objective", "psnr"], "choose mse"),
        (["--data", "/no/such/folder"], "--data: expected a folder"),
        (["--models", "."], "--models: a choice of real networks needs real faces"),
        (["--resume", "--overwrite"], "--resume and --overwrite: expected one of them"),
        (["--resume", "--out", "/no/such/sweep"], "leave --resume out"),
        (["--out", "/proc/nowhere"], "--out: expected a folder that can be written"),
        (["--out", "/tmp/\udcff"], r"--out: expected a text in UTF-8, got '/tmp/\udcff'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_a_sentence(arguments: list[str], sentence: str) -> None:
    assert sentence in refused(*arguments)


def test_faces_without_networks_are_refused(tmp_path: Path) -> None:
    assert "real faces need real networks" in refused("--data", str(people_folder(tmp_path / "d", 2)))


def test_one_picture_per_person_is_refused_with_the_numbers(tmp_path: Path) -> None:
    data = people_folder(tmp_path / "d", 1)
    (tmp_path / "expression").mkdir()
    (tmp_path / "expression" / "facex.onnx").write_bytes(b"looked at only when the faces can serve")
    sentence = refused("--data", str(data), "--models", str(tmp_path), "--out", str(tmp_path / "out"))
    assert "expected people with at least 2 pictures" in sentence
    assert "each of the 3 people" in sentence


def test_missing_networks_are_named(tmp_path: Path) -> None:
    data = people_folder(tmp_path / "d", 3)
    (tmp_path / "models").mkdir()
    asked = ("--data", str(data), "--models", str(tmp_path / "models"), "--out", str(tmp_path / "out"))
    sentence = refused(*asked)
    assert "scrfd" in sentence and "python -m orchestrator.models pull scrfd_2.5g" in sentence
    assert "missing" in sentence


def test_an_existing_results_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("somebody's")
    assert "--resume, --overwrite or another folder" in refused("--out", str(tmp_path))
    assert (tmp_path / "report.html").read_text() == "somebody's"


def search(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.helpers.small_search", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_sweep_in_process_leaves_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    done = search("--backend", "inprocess", "--trials", "3", "--out", str(out))
    assert done.returncode == 0, done.stderr
    trials, front = pq.read_table(out / "trials.parquet"), pq.read_table(out / "front.parquet")
    statuses = dict(zip(trials.column("method").to_pylist(), trials.column("status").to_pylist(), strict=True))
    assert trials.num_rows == 3 + len(ANCHORS) and set(statuses.values()) <= {"complete", "stopped"}
    assert all(statuses[anchor] == "complete" for anchor in ANCHORS)
    assert set(ANCHORS) <= set(trials.column("method").to_pylist())
    assert 1 <= len(front) <= len(trials)
    facts = json.loads(trials.schema.metadata[b"sweep"])
    assert facts["objectives"] == {"rank1_worst": "min", "expression_kept": "max"}
    assert "demo" in " ".join(facts["notes"]).lower()
    report = (out / "report.html").read_text()
    assert "demo networks" in report.lower()
    assert "rank1_worst" in done.stdout
    # The same sweep again has nothing left to do, and says so with the same tables.
    again = search("--backend", "inprocess", "--trials", "3", "--out", str(out), "--resume")
    assert again.returncode == 0, again.stderr
    assert pq.read_table(out / "trials.parquet").equals(trials)
    other = search("--backend", "inprocess", "--seed", "1", "--out", str(out), "--resume")
    assert other.returncode == 2
    assert "another --seed: 0, now 1" in " ".join(other.stderr.split())
    more = search("--backend", "inprocess", "--trials", "4", "--out", str(out), "--resume")
    assert more.returncode == 0, more.stderr
    extended = pq.read_table(out / "trials.parquet")
    assert extended.num_rows == trials.num_rows + 1
    assert extended["anonymizer"].to_pylist()[:-1] == trials["anonymizer"].to_pylist()


@pytest.mark.slow
@pytest.mark.ray
def test_ray_and_in_process_measure_the_same(tmp_path: Path) -> None:
    tables = {}
    # One panel of Ray's has all cores. Rounding, on which a tie may turn, depends on the number of threads.
    threads = str(os.cpu_count())
    for backend, options in (("ray", ["--panels", "1"]), ("inprocess", [])):
        asked = ["--space", "k_same_grid", "--backend", backend, *options, "--out", str(tmp_path / backend)]
        done = search(*asked, OMP_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
        table = pq.read_table(tmp_path / backend / "trials.parquet").drop_columns(["seconds"])
        tables[backend] = table.replace_schema_metadata(None).to_pylist()
    assert [r["anonymizer"] for r in tables["ray"]] == [r["anonymizer"] for r in tables["inprocess"]]
    for ray_row, row in zip(tables["ray"], tables["inprocess"], strict=True):
        assert ray_row == pytest.approx(row, abs=1e-4)
    assert {p.name for p in (tmp_path / "ray").iterdir()} == {
        "ledger.arrow",
        "log.jsonl",
        "trials.parquet",
        "front.parquet",
        "report.html",
        "served.parquet",
        "confusions.parquet",
    }


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("backend", ["inprocess", "ray"])
def test_ctrl_c_writes_what_is_finished(backend: str, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = [sys.executable, "-m", "tests.helpers.small_search", "--backend", backend, "--trials", "200"]
    command += ["--out", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "ledger.arrow").exists() and read(out / "ledger.arrow").num_rows >= 8:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    status = pq.read_table(out / "trials.parquet").column("status").to_pylist()
    assert 3 <= len(status) < 200 + len(ANCHORS)
    assert (out / "report.html").exists()
