"""The user's own network: what is no network is told, what can be served is served, weights beside it count."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from evaluators.networks.catalog.choice import Networks
from evaluators.networks.catalog.conventions import checked, convention_of
from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.catalog.onnx_file import read_input
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.loaders import load_embedder, try_networks
from evaluators.networks.signals import Parser, check_signals
from tests.helpers.tiny_nets import NOISE

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 174383860\n"


def own(
    path: Path,
    shape: tuple[object, ...] = ("n", 3, 112, 112),
    dtype: int = TensorProto.FLOAT,
    *,
    output: int = TensorProto.FLOAT,
    seed: int = 0,
    beside: bool = False,
    made_for: int = 0,
) -> Path:
    """Save an embedder of 8 numbers: blocks of 28 px averaged, and a matrix product; for so many pictures, if any."""
    wide = shape[3] == 3
    matrix = np.random.default_rng(seed).standard_normal((48, 8)).astype(np.float32)
    rows = np.array([made_for, 48] if made_for else [-1, 48])
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["first"], perm=[0, 3, 1, 2] if wide else [0, 1, 2, 3]),
        helper.make_node("AveragePool", ["first"], ["map"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Reshape", ["map", "rows"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=output),
    ]
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(rows, "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    if beside:
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024)
    else:
        onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (POINTER, "it is a pointer of Git LFS, a few lines instead of the weights; git lfs pull"),
        (b"", "it is empty; fetch it again"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"\x08\x07\x12\x07pytorch:\xff\xff", "bytes are no whole network"),
        (b"\x08\x07", "it holds no network"),
    ],
)
def test_what_is_no_network_is_told_by_what_it_is(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^--embedder: expected an ONNX file, .*own.onnx: .*{sentence}"):
        convention_of("--embedder", path)
    if content[:1] in (b"v", b"", b"\n"):  # a network of the zoo too
        with pytest.raises(ValueError, match=f"^--models: expected .*, {sentence}"):
            checked(path, "0" * 64)


def test_a_file_cut_short_is_no_network(tmp_path: Path) -> None:
    path = own(tmp_path / "own.onnx")
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 40):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"own\.onnx: its [\d,]+ bytes are no whole network"):
            convention_of("--embedder", path)


def test_weights_beside_a_network_are_a_part_of_it(tmp_path: Path) -> None:
    one = own(tmp_path / "one" / "own.onnx", beside=True)
    other = own(tmp_path / "other" / "own.onnx", beside=True, seed=1)
    assert one.read_bytes() == other.read_bytes()
    first, second = (convention_of("--embedder", path) for path in (one, other))
    assert first.sha256 != second.sha256 and checked(one, first.sha256) == one
    embeddings = [load_embedder(tmp_path, str(path), threads=1)(NOISE) for path in (one, other)]
    assert not torch.allclose(*embeddings, atol=0.01)

    data = one.with_name("own.onnx.data")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"its weights in own\.onnx\.data beside it are 1,535 of 1,536 bytes"):
        convention_of("--embedder", one)
    data.unlink()
    with pytest.raises(ValueError, match=r"its weights lie in own\.onnx\.data, which is not beside it"):
        convention_of("--embedder", one)


@pytest.mark.parametrize("batch", ["n", 1, 16])
@pytest.mark.parametrize(
    ("dtype", "output", "fed"),
    [
        (TensorProto.FLOAT, TensorProto.FLOAT, ""),
        (TensorProto.FLOAT16, TensorProto.FLOAT16, ""),
        (TensorProto.DOUBLE, TensorProto.DOUBLE, ""),
        (TensorProto.UINT8, TensorProto.FLOAT, "mean=0,scale=1"),
    ],
)
def test_any_batch_and_type_that_can_be_served_is(
    batch: object, dtype: int, output: int, fed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = own(tmp_path / "made.onnx")
    expected = load_embedder(tmp_path, str(made), fed, threads=1)(NOISE)
    path = own(tmp_path / "own.onnx", (batch, 3, 112, 112), dtype, output=output)
    got = load_embedder(tmp_path, str(path), fed, threads=1)(NOISE)
    assert got.shape == (5, 8) and got.dtype == torch.float32
    torch.testing.assert_close(got, expected, atol=0.02, rtol=0)
    monkeypatch.setattr("evaluators.networks.loaders.checked", lambda path, *digests: path)  # the others are not here
    try_networks(Networks(models=tmp_path, embedder=str(path), embedder_input=fed))


def test_a_graph_that_was_made_for_one_picture_gets_one(tmp_path: Path) -> None:
    expected = load_embedder(tmp_path, str(own(tmp_path / "any.onnx")), threads=1)(NOISE)
    net = load_embedder(tmp_path, str(own(tmp_path / "one.onnx", made_for=1)), threads=1)
    assert net.convention.batch == 1
    torch.testing.assert_close(net(NOISE), expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "fed", "sentence"),
    [
        (("n", 112, 112, 3), 1, "", "112 px nchw, it takes (any, 112, 112, 3); say so with layout=nhwc"),
        ((1, 3, 160, 160), 1, "", "112 px nchw, it takes (1, 3, 160, 160); say so with size=160"),
        (("n", 1, 112, 112), 1, "", "it takes (any, 1, 112, 112); expected square pictures of three channels"),
        (("n", 3, 112), 1, "", "expected pictures of four dimensions"),
        (("n", 3, 112, 112), 7, "", "expected pictures of float32, float16, float64, uint8, "),
        (("n", 3, 112, 112), 2, "", "give --embedder-input mean=0,scale=1"),
    ],
)
def test_what_cannot_be_served_says_why(
    shape: tuple[object, ...], dtype: int, fed: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.onnx"
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "own",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, None)],
    )
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        convention_of("--embedder", path, fed)


def test_its_answers_are_tried_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluators.networks.loaders.checked", lambda path, *digests: path)  # the others are not here
    path = own(tmp_path / "own.onnx")
    model = onnx.load(path)
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "matrix")
    for value, sentence in ((np.nan, "expected finite embeddings"), (0, "expected other embeddings of other pictures")):
        weights.CopyFrom(numpy_helper.from_array(np.full((48, 8), value, np.float32), "matrix"))
        onnx.save(model, path)
        with pytest.raises(ValueError, match=rf"--held-out .*own\.onnx: {sentence}"):
            try_networks(Networks(models=tmp_path, held_out=str(path)))
    assert read_input("--held-out", path).shape == (0, 3, 112, 112)


def test_networks_of_the_zoo_are_verified_then_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scrfd_2.5g", "edgeface_xs", "facex"):
        path = tmp_path / ZOO[name].path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(POINTER)
        with pytest.raises(ValueError, match=f"expected {path} with SHA-256 .*, it is a pointer of Git LFS"):
            try_networks(Networks(models=tmp_path))
        path.write_bytes(b"whole")
        monkeypatch.setitem(ZOO, name, replace(ZOO[name], sha256=digest_of(path)))


def test_a_signals_network_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / ZOO["face_parsing"].path
    path.parent.mkdir()
    path.write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"signal parsing: expected a network .* in {path}, it is a pointer"):
        check_signals(tmp_path, ["parsing"])
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="expected a network that ONNX Runtime opens"):
        Parser(path, threads=1)
