"""Small ONNX files in the shape of the real ones, made on the spot."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper


def save(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[object]) -> str:
    """Save a network from x to y and return its SHA-256."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def embedder(path: Path, *, size: int = 16, channels: int = 3) -> str:
    """(N, C, size, size) -> the means of blocks of 4 px, in a row."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["map"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["map"], ["y"]),
    ]
    return save(path, nodes, {}, ["n", channels, size, size])


def teacher(path: Path, classes: int, *, size: int = 64, channels: int = 3, batch: object = "n") -> str:
    """Means of the channels, relu, a matrix product with a reshaped weight, and a bias, as FER+ ends."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["map"]),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["seen"]),
        helper.make_node("Reshape", ["raw", "shape"], ["weight"]),
        helper.make_node("MatMul", ["seen", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]
    weights = {
        "raw": rng.standard_normal((channels, 1, classes)).astype(np.float32),
        "shape": np.array([channels, classes]),
        "bias": rng.standard_normal(classes).astype(np.float32),
    }
    return save(path, nodes, weights, [batch, channels, size, size])


NOISE = torch.randint(0, 256, (5, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
