"""A folder of models with random weights under the published names: the generative methods run, nobody is convinced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from anonymizers.generative.nets.ciagan_net import CiaganGenerator
from anonymizers.generative.nets.deep_privacy2_net import DeepPrivacy2Generator
from anonymizers.generative.nets.pix2pix import Pix2PixUNet


def write(folder: Path) -> Path:
    torch.manual_seed(0)
    into = folder / "generation"
    into.mkdir(parents=True)
    pix2pix = {f"generator.{name}": value for name, value in Pix2PixUNet().state_dict().items()}
    torch.save({"state_dict": pix2pix, "epoch": 25}, into / "ganonymization.ckpt")
    torch.save(CiaganGenerator().state_dict(), into / "ciagan.pth")
    torch.save(
        {"EMA_generator": DeepPrivacy2Generator().state_dict(), "w_centers": torch.randn(4, 512)},
        into / "deep_privacy2_fdf128.ckpt",
    )
    swapper(into / "inswapper_128.onnx")
    return folder


def swapper(path: Path) -> None:
    """An identity changes the color; the last initializer maps embeddings, as in the published file."""
    rng = np.random.default_rng(0)
    colors = numpy_helper.from_array(rng.normal(size=(512, 3)).astype(np.float32), "colors")
    shape = numpy_helper.from_array(np.array([1, 3, 1, 1], np.int64), "shape")
    emap = numpy_helper.from_array(rng.normal(size=(512, 512)).astype(np.float32), "emap")
    nodes = [
        helper.make_node("MatMul", ["source", "colors"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "shape"], ["color"]),
        helper.make_node("Add", ["target", "color"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["output"]),
    ]
    fed = [
        helper.make_tensor_value_info("target", TensorProto.FLOAT, [1, 3, 128, 128]),
        helper.make_tensor_value_info("source", TensorProto.FLOAT, [1, 512]),
    ]
    out = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, 128, 128])]
    graph = helper.make_graph(nodes, "swapper", fed, out, [colors, shape, emap])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
