"""Graph: an ONNX file that is built node by node, the same bytes each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8


class Graph:
    """Collect the nodes and weights of a network of one input and one output."""

    def __init__(self, name: str, source: str) -> None:
        """Begin empty.

        Args:
            name: of the network.
            source: what it was converted from; kept in the file.
        """
        self.name, self.source = name, source
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant, and return its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=f"{output}_{operator}", **attributes))
        return output

    def convolution(
        self,
        x: str,
        output: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
        *,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Add a convolution of an (N, C, H, W) map.

        Args:
            x: its input.
            output: name of its output.
            weight: (O, I / groups, h, w).
            bias: (O,); None for none.
            pads: zeros before and after: top, left, bottom, right. Uneven ones become a node of their own, which
                converters to PyTorch know.
            stride: in both directions.
            groups: of channels.
        """
        if pads[:2] != pads[2:]:
            amounts = self.weight(f"{output}_pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64))
            x, pads = self.node("Pad", [x, amounts], f"{output}_padded", mode="constant"), (0, 0, 0, 0)
        inputs = [x, self.weight(f"{output}_weight", weight)]
        if bias is not None:
            inputs.append(self.weight(f"{output}_bias", bias))
        size = list(weight.shape[2:])
        attributes = {"kernel_shape": size, "pads": list(pads), "strides": [stride, stride], "group": groups}
        return self.node("Conv", inputs, output, dilations=[1, 1], **attributes)

    def onnx_file(
        self, given: str, shape: Sequence[int | str], answer: str, answer_shape: Sequence[int | str]
    ) -> bytes:
        """Return the file of the network from one input to one output, both float32, with their names and shapes.

        Raises:
            ValueError: if it is no valid network.
        """
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(given, TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info(answer, TensorProto.FLOAT, list(answer_shape))],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        model.producer_name = "face-anonymization-search"
        model.doc_string = f"converted from {self.source}"
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise ValueError(f"{self.name}: expected a valid ONNX file of {self.source}, {error}") from error
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def same_pads(size: tuple[int, int], kernel: tuple[int, int], stride: int) -> tuple[int, int, int, int]:
    """Return the zeros of TensorFlow's padding "same", of which the odd one comes last: top, left, bottom, right."""
    total = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(size, kernel, strict=True)]
    return (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)
