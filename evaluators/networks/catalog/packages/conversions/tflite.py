"""TensorFlow Lite files of plain convolutional networks as ONNX files: maps (n, C, h, w) between, NHWC outside.

Weights of 8 bits and of half precision are taken for the numbers that they stand for; TensorFlow Lite would round the
maps too where it multiplies them with weights of 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.networks.catalog.packages.conversions.graph import Graph, same_pads

TYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    2: np.dtype("<i4"),
    3: np.dtype("u1"),
    9: np.dtype("i1"),
}
"""Of TensorFlow Lite's, those that weights have here."""


def convert_embedder(data: bytes) -> bytes:
    """Convert a network from pictures to embeddings; the output is called "embeddings".

    Raises:
        ValueError: if it holds an operator that is not known here.
    """
    return _Converter(data, "embeddings").file()


def convert_teacher(data: bytes) -> bytes:
    """Convert a network from pictures to classes, without the softmax at its end; the output is called "logits".

    Raises:
        ValueError: if it holds an operator that is not known here.
    """
    return _Converter(data, "logits").file()


class _Converter:
    """Walk through the operators in their order; tensor number N of the file becomes tN."""

    def __init__(self, data: bytes, answer: str) -> None:
        from mediapipe.tasks.metadata import schema_py_generated as schema  # seconds

        self.schema, self.answer = schema, answer
        try:
            model = schema.Model.GetRootAsModel(data, 0)
            assert model.SubgraphsLength() == 1 and schema.Model.ModelBufferHasIdentifier(data, 0)
            self.model, self.net = model, model.Subgraphs(0)
            (self.given,), (self.last,) = self.net.InputsAsNumpy(), self.net.OutputsAsNumpy()
        except Exception as error:  # the reader of a damaged file raises whatever it runs into
            raise ValueError(f"tflite: expected a file of one network of one input and output: {error}") from error
        self.operators = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        self.graph = Graph("tflite", "a TensorFlow Lite file")
        self.weights: dict[int, NDArray[Any]] = {}

    def file(self) -> bytes:
        _, height, width, channels = self._shape(self.given)
        self.graph.node("Transpose", ["input"], f"t{self.given}", perm=[0, 3, 1, 2])
        for i in range(self.net.OperatorsLength()):
            operator = self.net.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = self.operators[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if name not in OPERATORS:
                raise ValueError(f"tflite: expected operators of {', '.join(OPERATORS)}, got {name}")
            OPERATORS[name](self, operator)
        self.graph.node("Identity", [f"t{self.last}"], self.answer)
        return self.graph.onnx_file(
            "input", ("n", height, width, channels), self.answer, ("n", self._shape(self.last)[1])
        )

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.net.Tensors(tensor).ShapeAsNumpy())

    def _constant(self, tensor: int, *, kernel: bool = False) -> NDArray[Any] | None:
        """Return what a tensor of the file holds; None for one that is computed.

        Kernels that are multiplied in 8 bits are signed, also where the file calls them unsigned.
        """
        if tensor in self.weights:
            return self.weights[tensor]
        facts = self.net.Tensors(tensor)
        raw = self.model.Buffers(facts.Buffer()).DataAsNumpy()
        if isinstance(raw, int):  # an empty buffer: a tensor that is computed
            return None
        if facts.Type() not in TYPES:
            raise ValueError(f"tflite: expected weights of {', '.join(map(str, TYPES.values()))}, got another type")
        value: NDArray[Any] = np.frombuffer(raw.tobytes(), TYPES[facts.Type()]).reshape(self._shape(tensor))
        if kernel and value.dtype == np.uint8:
            value = value.view(np.int8)
        coded = facts.Quantization()
        if value.dtype.kind in "iu" and value.dtype.itemsize == 1:
            scale, zero = coded.ScaleAsNumpy(), coded.ZeroPointAsNumpy()
            along = [1] * value.ndim
            if len(scale) > 1:
                along[coded.QuantizedDimension()] = -1
            zero = np.asarray(zero, np.float32).reshape(along)
            value = (value.astype(np.float32) - zero) * np.asarray(scale, np.float32).reshape(along)
        elif value.dtype == np.float16:
            value = value.astype(np.float32)
        self.weights[tensor] = value
        return value

    def _need(self, tensor: int, *, kernel: bool = False) -> NDArray[Any]:
        value = self._constant(tensor, kernel=kernel)
        if value is None:
            raise ValueError(f"tflite: expected tensor {tensor} to be a weight, it is computed")
        return value

    def _term(self, tensor: int) -> str:
        """Name an operand: a map, or a weight of one value or one for each channel."""
        value = self._constant(tensor)
        if value is None:
            return f"t{tensor}"
        if value.size not in (1, value.shape[-1]):
            raise ValueError(f"tflite: expected weights for each channel, got some of shape {value.shape}")
        name = f"t{tensor}"
        if all(weight.name != name for weight in self.graph.weights):
            self.graph.weight(name, value.reshape(1, -1, 1, 1))
        return name

    def _options(self, operator: Any, kind: str) -> Any:
        options = getattr(self.schema, kind)()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _activated(self, activation: int, x: str, output: str) -> None:
        """End an operator with what it is fused with."""
        kinds = self.schema.ActivationFunctionType
        if activation == kinds.RELU:
            self.graph.node("Relu", [x], output)
        elif activation == kinds.RELU6:
            bounds = [self.graph.weight(f"{output}_{name}", np.array(n, np.float32)) for name, n in BOUNDS.items()]
            self.graph.node("Clip", [x, *bounds], output)
        elif activation == kinds.NONE:
            self.graph.node("Identity", [x], output)
        else:
            raise ValueError(f"tflite: expected no activation, RELU or RELU6, got number {activation}")

    def convolution(self, operator: Any, *, depthwise: bool = False) -> None:
        options = self._options(operator, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
        given, kernel, *bias = operator.InputsAsNumpy().tolist()
        output = operator.Outputs(0)
        weight = self._need(kernel, kernel=True)  # (O, h, w, I); (1, h, w, C) of each channel for itself
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        stride, (_, height, width, channels) = options.StrideH(), self._shape(given)
        plain = (stride == options.StrideW(), options.DilationHFactor() == 1, options.DilationWFactor() == 1)
        if not all(plain) or (depthwise and len(weight) != channels):
            raise ValueError("tflite: expected convolutions of one stride, without gaps and multipliers")
        size = (int(weight.shape[2]), int(weight.shape[3]))
        same = options.Padding() == self.schema.Padding.SAME
        pads = same_pads((height, width), size, stride) if same else (0, 0, 0, 0)
        offset = self._need(bias[0]) if bias and bias[0] >= 0 else None
        name, groups = f"t{output}_c", channels if depthwise else 1
        self.graph.convolution(f"t{given}", name, weight, offset, pads=pads, stride=stride, groups=groups)
        self._activated(options.FusedActivationFunction(), name, f"t{output}")

    def depthwise(self, operator: Any) -> None:
        self.convolution(operator, depthwise=True)

    def arithmetic(self, operator: Any, kind: str) -> None:
        options = self._options(operator, f"{kind}Options")
        output = f"t{operator.Outputs(0)}"
        terms = [self._term(tensor) for tensor in operator.InputsAsNumpy().tolist()]
        self._activated(options.FusedActivationFunction(), self.graph.node(kind, terms, f"{output}_o"), output)

    def function(self, operator: Any, kind: str) -> None:
        self.graph.node(kind, [f"t{operator.Inputs(0)}"], f"t{operator.Outputs(0)}")

    def pad(self, operator: Any) -> None:
        amounts = self._need(operator.Inputs(1))[[0, 3, 1, 2]].T.astype(np.int64).flatten()
        output = f"t{operator.Outputs(0)}"
        name = self.graph.weight(f"{output}_pads", amounts)
        self.graph.node("Pad", [f"t{operator.Inputs(0)}", name], output, mode="constant")

    def dequantize(self, operator: Any) -> None:
        self.weights[operator.Outputs(0)] = self._need(operator.Inputs(0))

    def fully_connected(self, operator: Any) -> None:
        options = self._options(operator, "FullyConnectedOptions")
        given, kernel, *bias = operator.InputsAsNumpy().tolist()
        output, x = f"t{operator.Outputs(0)}", f"t{given}"
        if len(self._shape(given)) == 4:
            x = self.graph.node("Transpose", [x], f"{output}_t", perm=[0, 2, 3, 1])
        inputs = [self.graph.node("Flatten", [x], f"{output}_f")]
        inputs.append(self.graph.weight(f"{output}_weight", self._need(kernel, kernel=True).T))
        if bias and bias[0] >= 0:
            inputs.append(self.graph.weight(f"{output}_bias", self._need(bias[0])))
        self._activated(options.FusedActivationFunction(), self.graph.node("Gemm", inputs, f"{output}_g"), output)

    def reshape(self, operator: Any) -> None:
        """Flatten a map of one pixel to a vector: what ends an embedder."""
        given, output = operator.Inputs(0), operator.Outputs(0)
        shape = self._shape(given)
        if len(shape) != 4 or shape[1:3] != (1, 1) or len(self._shape(output)) != 2:
            raise ValueError(f"tflite: expected a map of one pixel to become a vector, got the shape {shape}")
        self.graph.node("Flatten", [f"t{given}"], f"t{output}")

    def softmax(self, operator: Any) -> None:
        """Leave it out: what it is given are the logits."""
        self.graph.node("Identity", [f"t{operator.Inputs(0)}"], f"t{operator.Outputs(0)}")


BOUNDS = {"least": 0, "most": 6}
OPERATORS: dict[str, Callable[[_Converter, Any], None]] = {
    "CONV_2D": _Converter.convolution,
    "DEPTHWISE_CONV_2D": _Converter.depthwise,
    "ADD": lambda net, operator: net.arithmetic(operator, "Add"),
    "SUB": lambda net, operator: net.arithmetic(operator, "Sub"),
    "MUL": lambda net, operator: net.arithmetic(operator, "Mul"),
    "RELU": lambda net, operator: net.function(operator, "Relu"),
    "ABS": lambda net, operator: net.function(operator, "Abs"),
    "PAD": _Converter.pad,
    "DEQUANTIZE": _Converter.dequantize,
    "FULLY_CONNECTED": _Converter.fully_connected,
    "RESHAPE": _Converter.reshape,
    "SOFTMAX": _Converter.softmax,
}
"""By name of TensorFlow Lite's."""
