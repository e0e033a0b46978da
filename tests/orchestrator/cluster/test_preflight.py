"""Preflight: what does not fit is one sentence that names the machine and the thing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from orchestrator.cluster.code import PACKAGES
from orchestrator.cluster.preflight import NodeFacts, check_cluster, complaints, digest, look_around
from tests.places import ROOT

GIB = 2**30
FACTS = NodeFacts(
    node="ab12 (192.0.2.7)",
    python="3.11.7",
    packages={"ray": "2.60.0", "torch": "2.15.0"},
    code="c0de",
    files={"/models": "f11e"},
    gpus=1.0,
    torch_gpus=1,
    onnx_cuda=True,
    memory=8 * GIB,
    disk=50 * GIB,
)


def test_machines_that_fit_get_no_complaint() -> None:
    assert complaints(FACTS, [FACTS, replace(FACTS, node="other", gpus=0.0, torch_gpus=0, onnx_cuda=False)]) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"python": "3.11.9"}, "expected Python 3.11.7, as the search has, found 3.11.9"),
        ({"packages": {"ray": "2.59.0", "torch": "2.15.0"}}, "expected ray 2.60.0, as the search has, found 2.59.0"),
        ({"packages": {"ray": "2.60.0"}}, "expected torch 2.15.0, as the search has, found none"),
        ({"code": "0ther"}, "its code is not the search's"),
        ({"files": {"/models": ""}}, "expected /models, which is not there"),
        ({"files": {"/models": "0ther"}}, "/models is not what it is where the search runs"),
        ({"torch_gpus": 0}, "Ray counts 1 GPUs, PyTorch sees 0"),
        ({"onnx_cuda": False}, "ONNX Runtime has no CUDA there"),
        ({"memory": GIB}, "expected at least 2 GiB of free memory, found 1.0"),
        ({"disk": 0}, "expected at least 2 GiB of free disk, found 0.0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mismatch_is_one_sentence_with_machine_and_thing(change: dict[str, Any], sentence: str) -> None:
    said = complaints(FACTS, [FACTS, replace(FACTS, **change)])
    assert len(said) == 1
    assert said[0].startswith("node ab12 (192.0.2.7): ") and sentence in said[0]


def test_on_the_cpu_no_gpu_is_missed() -> None:
    assert complaints(FACTS, [replace(FACTS, torch_gpus=0, onnx_cuda=False)], device="cpu") == []


def test_a_digest_sees_content_of_files_and_sizes_in_folders(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    net = tmp_path / "nets" / "a.onnx"
    net.write_bytes(b"1234")
    before = digest(net), digest(tmp_path / "nets")
    net.write_bytes(b"1235")
    assert digest(net) != before[0] and digest(tmp_path / "nets") == before[1]
    net.write_bytes(b"12345")
    assert digest(tmp_path / "nets") != before[1]
    assert digest(tmp_path / "none") == ""


def test_this_machine_knows_itself(tmp_path: Path) -> None:
    facts = look_around("here", 0.0, [str(tmp_path)])
    assert set(facts.packages) == set(PACKAGES) and len(facts.code) == 64
    assert facts.memory > 0 and facts.disk > 0 and facts.files[str(tmp_path)]


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_is_asked_as_a_whole(tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    # Ray believes in GPUs that nobody sees.
    cluster.add_node(num_cpus=1, num_gpus=2)
    try:
        command = [sys.executable, "-m", "orchestrator.cluster", "--address", cluster.address, "--models"]
        good = subprocess.run([*command, str(tmp_path), "--device", "cpu"], cwd=ROOT, capture_output=True, text=True)
        assert good.returncode == 0, good.stdout + good.stderr
        assert "2 machines fit together" in good.stdout
        none = subprocess.run([*command, str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True)
        assert none.returncode == 2 and "--models: expected a path that is here too" in none.stderr
        bad = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
        assert bad.returncode == 2
        assert "Ray counts 2 GPUs, PyTorch sees 0" in bad.stderr
        ray.init(address=cluster.address, log_to_driver=False)
        with pytest.raises(ValueError, match=r"node .*: expected /no/such/models, which is not there"):
            check_cluster(["/no/such/models"], device="cpu")
    finally:
        ray.shutdown()
        cluster.shutdown()
