"""The throughput benchmark counts what others have counted, and stays out of Ray and ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from benchmarks import throughput
from benchmarks.throughput import DEPTHS, Roof, iresnet, row, work_of
from tests.places import ROOT


@pytest.mark.parametrize(
    ("name", "parameters", "operations"), [("iresnet50", 43.59e6, 6.3e9), ("iresnet100", 65.16e6, 12.1e9)]
)
def test_the_architectures_have_the_published_size(name: str, parameters: float, operations: float) -> None:
    """Figures of InsightFace's model table: millions of parameters, and multiply-adds, each two operations."""
    net = iresnet(DEPTHS[name]).eval()
    assert sum(weight.numel() for weight in net.parameters()) == pytest.approx(parameters, rel=1e-3)
    work = work_of(net, torch.zeros(2, 3, 112, 112))
    assert work.operations / 4 == pytest.approx(operations, rel=0.01)


def test_operations_and_bytes_of_one_layer() -> None:
    work = work_of(nn.Sequential(nn.Linear(10, 20, bias=False)), torch.zeros(4, 10))
    assert work.operations == 2 * 4 * 10 * 20
    assert work.bytes == 4 * (10 * 20 + 4 * 10 + 4 * 20)


def test_the_fraction_is_that_of_the_nearer_roof() -> None:
    roof = Roof(operations=100.0, bytes=10.0)
    assert roof.seconds(200, 10) == 2 and roof.seconds(100, 50) == 5
    work = throughput.Work(operations=1000.0, bytes=10.0)
    assert row("net", "torch", "float32", 4, 0.2, work, roof).endswith("(0.50) | 0.50 |")


def test_it_needs_torch_alone() -> None:
    program = (
        "import sys, benchmarks.throughput, evaluators.networks.backends.captured; "
        "print(sorted({'ray', 'onnx', 'onnxruntime', 'timm', 'insightface'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
