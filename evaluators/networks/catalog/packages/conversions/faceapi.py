"""face-api's expression network: weights of 8 bits with scale and minimum per tensor, in the order of its manifest.

Source: the package's FaceFeatureExtractor and FaceExpressionNet: four blocks of four convolutions, each of which sees
the sum of those before it, an average over the last map, and one layer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluators.networks.catalog.packages.conversions.graph import Graph, same_pads

SIDE = 112
MEAN = (122.782, 117.001, 104.298)
# Scale and minimum of every tensor of 8 bits, as face_expression_model-weights_manifest.json has them: the filters of
# each block, depthwise before pointwise; biases are float32 and follow their filters.
QUANTIZED = (
    (0.0057930146946626555, -0.7125408074435067),
    (0.006473719839956246, -0.6408982641556684),
    (0.010509579321917366, -1.408283629136927),
    (0.005666389652326995, -0.7252978754978554),
    (0.010316079270605948, -1.1760330368490781),
    (0.0063220320963392074, -0.853474333005793),
    (0.010322785377502442, -1.4658355236053466),
    (0.0042531527724920535, -0.5741756242864272),
    (0.010653339647779278, -1.1825207009035),
    (0.005166931012097527, -0.6355325144879957),
    (0.011478300188101974, -1.3888743227603388),
    (0.006144821410085641, -0.8479853545918185),
    (0.010541967317169788, -1.3809977185492421),
    (0.005769844849904378, -0.686611537138621),
    (0.010939095534530341, -1.2689350820055196),
    (0.0037769308277204924, -0.40790852939381317),
    (0.01188667194516051, -1.4382873053644218),
    (0.006497045825509464, -0.8381189114907208),
    (0.011632198913424622, -1.3377028750438316),
    (0.005947182225246056, -0.7969224181829715),
    (0.011436844339557722, -1.4524792311238306),
    (0.006665432686899222, -0.8998334127313949),
    (0.01283421422920975, -1.642779421338848),
    (0.004711699953266218, -0.6737730933170692),
    (0.010955964817720302, -1.3914075318504784),
    (0.00554193468654857, -0.7149095745647656),
    (0.016790372250126858, -2.484975093018775),
    (0.006361540626077091, -0.8142772001378676),
    (0.01777329628678959, -1.7062364914838006),
    (0.006900275922289082, -0.8625344902861353),
    (0.015449936717164282, -1.9003422162112067),
    (0.004834276554631252, -0.7203072066400565),
)
CHANNELS = (32, 64, 128, 256)
CLASSES = 7


def convert(data: bytes) -> bytes:
    """Convert face_expression_model.bin to an ONNX file: (n, 3, 112, 112) RGB in [0, 255] to "logits" (n, 7).

    Raises:
        ValueError: if it is not as long as its tensors are.
    """
    tensors = _Tensors(data)
    graph = Graph("faceapi", "face-api's face_expression_model.bin")
    mean = graph.weight("mean", np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
    x = graph.node("Sub", ["input", mean], "centered")
    x = graph.node("Div", [x, graph.weight("range", np.array(255, np.float32))], "scaled")
    side, channels = SIDE, 3
    for block, wide in enumerate(CHANNELS):
        summed = ""
        for layer in range(4):
            stride = 2 if layer == 0 else 1
            pads = same_pads((side, side), (3, 3), stride)
            name = f"dense{block}_conv{layer}"
            if block == layer == 0:
                weight = tensors.filters(3, 3, channels, wide).transpose(3, 2, 0, 1)
                out = graph.convolution(x, name, weight, tensors.floats(wide), pads=pads, stride=stride)
            else:
                depthwise = tensors.filters(3, 3, channels, 1).transpose(2, 3, 0, 1)
                pointwise = tensors.filters(1, 1, channels, wide).transpose(3, 2, 0, 1)
                out = graph.convolution(x, f"{name}_depthwise", depthwise, pads=pads, stride=stride, groups=channels)
                out = graph.convolution(out, name, pointwise, tensors.floats(wide))
            if layer == 0:  # the first one's rectified answer is what the others are added to
                x = summed = graph.node("Relu", [out], f"dense{block}_0")
                side, channels = side // 2, wide
            else:
                summed = graph.node("Add", [summed, out], f"dense{block}_sum{layer}")
                x = graph.node("Relu", [summed], f"dense{block}_{layer}")
    pooled = graph.node("GlobalAveragePool", [x], "pooled")  # its window is the whole of the last map
    flat = graph.node("Flatten", [pooled], FEATURES)
    weight, bias = tensors.filters(channels, CLASSES), tensors.floats(CLASSES)
    graph.node("Gemm", [flat, graph.weight("fc_weight", weight), graph.weight("fc_bias", bias)], "logits")
    tensors.end()
    return graph.onnx_file("input", ("n", 3, SIDE, SIDE), "logits", ("n", CLASSES))


FEATURES = "/Flatten_output_0"
"""As the published graph calls what its last layer reads."""


class _Tensors:
    """Read tensor after tensor."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.quantized: Iterator[tuple[float, float]] = iter(QUANTIZED)

    def filters(self, *shape: int) -> NDArray[np.float32]:
        scale, least = next(self.quantized)
        count = int(np.prod(shape))
        levels = np.frombuffer(self._next(count), np.uint8).astype(np.float32)
        return (levels * np.float32(scale) + np.float32(least)).reshape(shape)

    def floats(self, count: int) -> NDArray[np.float32]:
        return np.frombuffer(self._next(4 * count), "<f4").astype(np.float32)

    def _next(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) < count:
            raise ValueError(f"faceapi: expected weights of more than {len(self.data)} bytes")
        self.at += count
        return part

    def end(self) -> None:
        if self.at != len(self.data):
            raise ValueError(f"faceapi: expected weights of {self.at} bytes, got {len(self.data)}")
