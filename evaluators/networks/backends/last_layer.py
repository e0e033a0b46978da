"""The tensors of an ONNX file: what a teacher's last layer reads are its penultimate features."""

from __future__ import annotations

from pathlib import Path

import onnx

from evaluators.networks.catalog.conventions import Convention, checked

WEIGHTED = {"Conv", "Gemm", "MatMul"}


def last_layer(path: Path, logits: str = "") -> tuple[str, str]:
    """Find the tensors that the last layer with weights writes and reads.

    Args:
        path: of the ONNX file.
        logits: name of the tensor with the logits; "" for the file's first output.

    Returns:
        names of the logits, and of the tensor that the last convolution or matrix product before them reads.

    Raises:
        ValueError: if the logits do not come from one such layer alone.
    """
    graph = onnx.load(path).graph
    logits = logits or graph.output[0].name
    constant = {tensor.name for tensor in graph.initializer} | {""}
    producer = {}
    for node in graph.node:  # in the order of computation
        producer.update(dict.fromkeys(node.output, node))
        if constant.issuperset(node.input):
            constant.update(node.output)
    name = logits
    while name in producer:
        node = producer[name]
        read = [tensor for tensor in node.input if tensor not in constant]
        if len(read) != 1:
            break
        if node.op_type in WEIGHTED:
            return logits, read[0]
        name = read[0]
    raise ValueError(
        f"--teacher: expected {path.name} to end in one layer with weights, got none before {name!r}; declare the "
        "tensor of its features in evaluators/networks/catalog/conventions.py"
    )


def reading(folder: Path, convention: Convention) -> tuple[str, str]:
    """Name the tensors with a teacher's logits and with what its last layer reads."""
    if convention.features:
        return convention.logits, convention.features
    return last_layer(checked(folder / convention.path, *convention.digests), convention.logits)


def with_outputs(path: Path, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """Read an ONNX file and let it give some of its tensors, in their order, and nothing else; () for what it gives."""
    model = onnx.load(path)
    if outputs:
        given = {output.name: output for output in model.graph.output}
        wanted = [
            given.get(name, onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)) for name in outputs
        ]
        del model.graph.output[:]
        model.graph.output.extend(wanted)
    return model
