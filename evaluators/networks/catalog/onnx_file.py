"""An ONNX file as it lies there: whether it is one, whether its weights are with it, and what it takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators.networks.catalog.downloads import digest_of

POINTER = b"version https://git-lfs"
SERVED = {"FLOAT": "float32", "FLOAT16": "float16", "DOUBLE": "float64", "UINT8": "uint8"}
"""Types of inputs that can be served, by ONNX's names and ours."""


@dataclass(frozen=True)
class OnnxInput:
    """State what an ONNX file takes.

    Attributes:
        dtype: of SERVED's values.
        shape: of four numbers, 0 for any.
        digest: SHA-256 of the file, or of it and the weights that lie beside it.
    """

    dtype: str
    shape: tuple[int, int, int, int]
    digest: str


def damage(path: Path) -> str | None:
    """Say what a file is instead of a network, where that shows at its beginning; None where it does not.

    Returns:
        what it is, and what to do, as the end of a sentence.
    """
    if path.stat().st_size == 0:
        return "it is empty; fetch it again"
    with path.open("rb") as file:
        first = file.read(256)
    if first.startswith(POINTER):
        return (
            "it is a pointer of Git LFS, a few lines instead of the weights; git lfs pull in its repository gets them"
        )
    if first.lstrip()[:1] == b"<":
        return "it is a web page, as a browser saves it; fetch the file itself"
    return None


def read_input(option: str, path: Path) -> OnnxInput:
    """Read what an ONNX file takes; its weights are not loaded.

    Args:
        option: that named the file.
        path: of the file.

    Raises:
        ValueError: if it is missing, no network, cut short, without its weights, or takes what cannot be served.
    """
    if not path.is_file():
        raise ValueError(f"{option}: expected an ONNX file, {path} is none; give its path, or a name of the zoo")
    try:
        graph = _model(path).graph
        weights = _beside(path, graph)
    except OSError as error:
        raise ValueError(f"{option}: expected an ONNX file that can be read, {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{option}: expected an ONNX file, {path}: {error}") from None
    from onnx import TensorProto

    given = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in given]
    if len(inputs) != 1 or not graph.output:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ValueError(f"{option}: expected a network with one input, pictures, {path} has {names}")
    tensor = inputs[0].type.tensor_type
    dtype = TensorProto.DataType.Name(tensor.elem_type)
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    if dtype not in SERVED:
        raise ValueError(f"{option}: expected pictures of {', '.join(SERVED.values())}, {path} takes {dtype.lower()}")
    if len(shape) != 4:
        raise ValueError(f"{option}: expected pictures of four dimensions, {path} takes {_written(shape)}")
    return OnnxInput(SERVED[dtype], shape, _digest(path, weights))


def whole_digest(path: Path) -> str:
    """Return the SHA-256 of a network's file, or of it and the weights that lie beside it.

    Raises:
        ValueError: if it is no ONNX file, or weights are missing.
    """
    return _digest(path, _beside(path, _model(path).graph))


def misfit(shape: tuple[int, int, int, int], size: int, layout: str) -> str | None:
    """Say how a file's input differs from what it is fed.

    Args:
        shape: of the input, 0 for any.
        size: of the pictures that it is fed, px.
        layout: of these, nchw or nhwc.

    Returns:
        what it takes and, where that is plain, how to feed it; None where it fits.
    """
    fed = {"nchw": (0, 3, size, size), "nhwc": (0, size, size, 3)}
    if all(a in (0, b) for a, b in zip(shape[1:], fed[layout][1:], strict=True)):
        return None
    found = f"it takes {_written(shape)}"
    channels = {"nchw": shape[1], "nhwc": shape[3]}
    likely = [name for name, count in channels.items() if count == 3]
    side = {"nchw": shape[2:], "nhwc": shape[1:3]}
    if len(likely) != 1 or side[likely[0]][0] != side[likely[0]][1]:
        return f"{found}; expected square pictures of three channels"
    parts = [f"layout={likely[0]}"] if likely[0] != layout else []
    parts += [f"size={side[likely[0]][0]}"] if side[likely[0]][0] not in (0, size) else []
    return f"{found}; say so with {','.join(parts)}"


def _model(path: Path) -> Any:
    """Parse a file, without the weights beside it."""
    if found := damage(path):
        raise ValueError(found)
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError(
            f"its {path.stat().st_size:,} bytes are no whole network: it was cut short or is something else; fetch it "
            "again"
        ) from None
    if not model.graph.node:
        raise ValueError("it holds no network; fetch it again")
    return model


def _beside(path: Path, graph: Any) -> list[Path]:
    """List the files with weights that lie beside a network's, sorted.

    Raises:
        ValueError: if one is missing or too short.
    """
    needed: dict[str, int] = {}
    for tensor in _tensors(graph):
        if tensor.external_data:
            facts = {entry.key: entry.value for entry in tensor.external_data}
            end = int(facts.get("offset", 0)) + int(facts.get("length", 0))
            needed[facts["location"]] = max(needed.get(facts["location"], 0), end)
    for name, size in needed.items():
        file = path.parent / name
        if not file.is_file():
            raise ValueError(f"its weights lie in {name}, which is not beside it; fetch that file too")
        if (found := file.stat().st_size) < size:
            raise ValueError(f"its weights in {name} beside it are {found:,} of {size:,} bytes; fetch that file again")
    return [path.parent / name for name in sorted(needed)]


def _tensors(graph: Any) -> Any:
    """List the tensors of a graph and of the graphs in its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _digest(path: Path, weights: list[Path]) -> str:
    """Return the SHA-256 of a file alone, or of the digests of several."""
    if not weights:
        return digest_of(path)
    return hashlib.sha256("\n".join(digest_of(file) for file in (path, *weights)).encode()).hexdigest()


def _written(shape: tuple[int, ...]) -> str:
    return f"({', '.join(str(size) if size else 'any' for size in shape)})"
