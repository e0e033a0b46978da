from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from evaluators.networks.backends.feeding import feed
from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
from evaluators.networks.catalog import conventions
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, Convention
from evaluators.networks.roles import Embedder, Teacher
from evaluators.zoo import load_models
from tests.places import SHARED

MODELS = SHARED / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks of the test data")
FACES = torch.randint(0, 256, (11, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def present(table: dict[str, Convention]) -> dict[str, Convention]:
    return {name: convention for name, convention in table.items() if (MODELS / convention.path).is_file()}


def tiny(folder: Path, monkeypatch: pytest.MonkeyPatch, *, channels_last: bool, gray: bool = False) -> Convention:
    """A network that hands its input on, as an embedder of one row per picture."""
    shape = ["n", 4, 4, 1 if gray else 3] if channels_last else ["n", 1 if gray else 3, 4, 4]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["map"]), onnx.helper.make_node("Flatten", ["map"], ["y"])],
        "tiny",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "d"])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "tiny.onnx")
    digest = hashlib.sha256((folder / "tiny.onnx").read_bytes()).hexdigest()
    convention = Convention("tiny.onnx", digest, 4, channels_last, 127.5, 128.0, "none", gray=gray)
    monkeypatch.setitem(EMBEDDERS, "tiny", convention)
    return convention


@pytest.mark.parametrize("channels_last", [False, True])
def test_layout_range_and_unit_norm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels_last: bool) -> None:
    tiny(tmp_path, monkeypatch, channels_last=channels_last)
    net = OnnxEmbedder(tmp_path, "tiny", threads=1)
    assert isinstance(net, Embedder) and net.name == "tiny"
    images = FACES[:, :, :4, :4]
    x = (images.float() - 127.5) / 128
    expected = (x.permute(0, 2, 3, 1) if channels_last else x).flatten(1)
    got = net(images)
    torch.testing.assert_close(got, expected / expected.norm(dim=1, keepdim=True))
    torch.testing.assert_close(got.norm(dim=1), torch.ones(11))


def test_gray_is_the_luma_of_rgb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny(tmp_path, monkeypatch, channels_last=True, gray=True)
    red = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 200
    pixels = feed(red, OnnxEmbedder(tmp_path, "tiny", threads=1).convention)
    assert pixels.shape == (1, 4, 4, 1)
    np.testing.assert_allclose(pixels, (0.299 * 200 - 127.5) / 128, rtol=1e-5)


def test_shrinking_averages_and_enlarging_does_not_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny(tmp_path, monkeypatch, channels_last=False)
    net = OnnxEmbedder(tmp_path, "tiny", threads=1)
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255
    shrunk = feed(checks.to(torch.uint8).expand(1, 3, 16, 16), net.convention).numpy() * 128 + 127.5
    assert np.abs(shrunk - 127.5).max() < 10  # without antialiasing: 0 or 255
    ramp = torch.tensor([0, 100], dtype=torch.uint8).expand(1, 3, 2, 2)
    np.testing.assert_allclose(feed(ramp, net.convention)[0, 0, 0] * 128 + 127.5, [0, 25, 75, 100], atol=1e-4)


def test_a_missing_or_other_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convention = tiny(tmp_path, monkeypatch, channels_last=False)
    with pytest.raises(ValueError, match=r"edgeface_xs\.onnx, which is missing"):
        load_models(Networks(models=tmp_path / "nowhere", backend_nets="onnx"))
    with pytest.raises(ValueError, match="expected one of edgeface_xs"):
        OnnxEmbedder(tmp_path, "facex")
    with pytest.raises(ValueError, match="expected one of facex"):
        OnnxTeacher(tmp_path, "tiny")
    (tmp_path / "tiny.onnx").write_bytes(b"something else")
    with pytest.raises(ValueError, match=f"with SHA-256 {convention.sha256}, got"):
        OnnxEmbedder(tmp_path, "tiny")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny(tmp_path, monkeypatch, channels_last=False)
    with pytest.raises(ValueError, match="expected ONNX Runtime's CUDAExecutionProvider"):
        OnnxEmbedder(tmp_path, "tiny", device="cuda")


@pytest.mark.real
@needs_models
@pytest.mark.parametrize("name", present(EMBEDDERS))
def test_embeddings_do_not_depend_on_the_batch(name: str) -> None:
    net = OnnxEmbedder(MODELS, name, threads=1)
    got = net(FACES)
    assert got.shape == (11, 192 if name == "mobilefacenet_192" else 512) and got.dtype == torch.float32
    torch.testing.assert_close(got.norm(dim=1), torch.ones(11))
    torch.testing.assert_close(got[9:], net(FACES[9:]), atol=1e-5, rtol=0)


@pytest.mark.real
@needs_models
@pytest.mark.parametrize("name", present(TEACHERS))
def test_a_teachers_logits_are_its_files_and_its_features_feed_the_last_layer(name: str) -> None:
    net = OnnxTeacher(MODELS, name, threads=1)
    assert isinstance(net, Teacher) and len(set(net.classes)) == 7
    got = net(FACES[:3])
    assert got.logits.shape == (3, 7) and got.features.ndim == 2 and got.features.isfinite().all()
    path = MODELS / TEACHERS[name].path
    plain = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answer = plain.run(None, {plain.get_inputs()[0].name: feed(FACES[:3], net.convention).numpy()})[0]
    mine = got.logits if name in ("facex", "faceapi") else got.logits.softmax(1)
    torch.testing.assert_close(mine, torch.from_numpy(answer), atol=1e-4, rtol=1e-4)

    # From the features' tensor to the logits there is one layer with weights, whatever reshapes it.
    graph = onnx.load(path).graph
    reached, weighted = {TEACHERS[name].features}, []
    for node in graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
            weighted += [node.op_type] if node.op_type in {"Conv", "Gemm", "MatMul"} else []
    assert TEACHERS[name].logits in reached and len(weighted) == 1


@pytest.mark.real
@needs_models
def test_load_models_names_what_it_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_models(
        Networks(
            models=MODELS,
            embedder="edgeface_xxs",
            held_out="mobilefacenet_192",
            teacher="mini_xception",
            backend_nets="onnx",
        ),
        threads=1,
    )
    assert [loaded[role].name for role in ("embedder", "held_out", "teacher", "detector")] == [
        "edgeface_xxs",
        "mobilefacenet_192",
        "mini_xception",
        "scrfd_2.5g_bnkps",
    ]
    for role in ("embedder", "held_out", "teacher", "detector"):
        assert set(loaded["facts"][role]) == {"name", "sha256", "terms"}
    for convention in (*present(EMBEDDERS).values(), *present(TEACHERS).values()):
        conventions.checked(MODELS / convention.path, convention.sha256)
