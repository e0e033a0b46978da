"""PyTorch's networks: the same answers as ONNX Runtime's, gradients, and what serves a panel."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from evaluators.networks.backends import race
from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
from evaluators.networks.backends.race import AGREEMENT, agreement, choose, smooth_pictures
from evaluators.networks.backends.torch_nets import REBUILT, TorchEmbedder, TorchTeacher, Unstrided, without_strides
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, Convention
from evaluators.networks.roles import Embedder, Teacher
from evaluators.zoo import load_models
from tests.helpers import tiny_nets

PICTURES = smooth_pictures(21)


def here(table: dict[str, Convention], shared: Path) -> list[str]:
    return [name for name, convention in table.items() if (shared / "models" / convention.path).is_file()]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    digest = tiny_nets.embedder(tmp_path / "tiny.onnx")
    monkeypatch.setitem(EMBEDDERS, "tiny", Convention("tiny.onnx", digest, 16, False, 127.5, 127.5, "none"))
    digest = tiny_nets.teacher(tmp_path / "reader.onnx", 3)
    monkeypatch.setitem(
        TEACHERS,
        "reader",
        Convention("reader.onnx", digest, 64, False, 0.0, 255.0, "none", classes=("anger", "happy", "sad")),
    )
    return tmp_path


def test_without_strides_a_depthwise_convolution_says_the_same_and_has_the_same_slope() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.Conv2d(8, 8, 3, groups=8)),
        nn.Conv2d(8, 8, 3, stride=(2, 1), padding=1, groups=8),
    )
    pictures = torch.randn(2, 3, 45, 45, requires_grad=True)
    before = net(pictures)
    (slope,) = torch.autograd.grad(before.square().sum(), pictures)
    without_strides(net)
    assert sum(isinstance(module, Unstrided) for module in net.modules()) == 2
    after = net(pictures)
    torch.testing.assert_close(after, before)
    torch.testing.assert_close(torch.autograd.grad(after.square().sum(), pictures)[0], slope)


def test_a_converted_embedder_says_what_its_file_says(tiny: Path) -> None:
    net = TorchEmbedder(tiny, "tiny")
    assert isinstance(net, Embedder) and net.digest == EMBEDDERS["tiny"].sha256
    torch.testing.assert_close(net(PICTURES), OnnxEmbedder(tiny, "tiny", threads=1)(PICTURES), atol=1e-5, rtol=0)


def test_a_converted_teacher_gives_logits_and_features(tiny: Path) -> None:
    net, reference = TorchTeacher(tiny, "reader"), OnnxTeacher(tiny, "reader", threads=1)
    assert isinstance(net, Teacher) and net.classes == ("anger", "happy", "sad")
    got, expected = net(PICTURES), reference(PICTURES)
    torch.testing.assert_close(got.logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.features, expected.features, atol=1e-5, rtol=0)


def test_gradients_reach_the_pixels_and_weights_stay(tiny: Path) -> None:
    net = TorchEmbedder(tiny, "tiny")
    x = PICTURES[:2].float().requires_grad_()
    net.embed(x)[:, 0].sum().backward()
    assert x.grad is not None and float(x.grad.norm()) > 0
    assert not any(weight.requires_grad for weight in net.module.parameters())


@pytest.mark.parametrize("count", [1, 8, 11])
def test_a_batch_of_one_shape_changes_nothing(tiny: Path, count: int) -> None:
    net, fixed = OnnxEmbedder(tiny, "tiny", threads=1), OnnxEmbedder(tiny, "tiny", threads=1)
    fixed.fixed = True
    assert torch.equal(net(PICTURES[:count]), fixed(PICTURES[:count]))
    assert set(fixed.shapes) == {8}  # the only shape that the session has seen


class Says:
    """Answer as told."""

    name = "liar"

    def __init__(self, answer: Tensor) -> None:
        self.answer = answer

    def __call__(self, images: Tensor) -> Tensor:
        return self.answer[: len(images)]


def test_a_network_that_disagrees_does_not_serve() -> None:
    truth, lie = Says(torch.eye(32)), Says(torch.eye(32).roll(1, 0))
    with pytest.raises(ValueError, match=r"liar: expected PyTorch to agree .* cosine of 0\.9999, got 0\.000000"):
        choose(lambda: truth, lambda: lie, wanted="torch", device="cpu")
    net, choice = choose(lambda: truth, lambda: lie, wanted="auto", device="cpu")
    assert net is truth and choice.backend == "onnx" and "expected PyTorch to agree" in choice.why
    with pytest.raises(ValueError, match="expected PyTorch to agree"):
        choose(lambda: truth, lambda: Says(torch.full((32, 32), torch.nan)), wanted="torch", device="cpu")


@pytest.mark.parametrize(("times", "backend"), [((2.0, 1.0), "torch"), ((1.0, 0.99), "onnx"), ((1.0, 2.0), "onnx")])
def test_the_faster_one_serves(monkeypatch: pytest.MonkeyPatch, times: tuple[float, float], backend: str) -> None:
    one, other = Says(torch.eye(32)), Says(torch.eye(32))
    monkeypatch.setattr(race, "race", lambda nets, pictures, device: list(times))
    net, choice = choose(lambda: one, lambda: other, wanted="auto", device="cpu")
    assert net is (other if backend == "torch" else one)
    assert choice.describe() == {
        "backend": backend,
        "why": "faster here",
        "onnx_ms": times[0],
        "torch_ms": times[1],
        "cosine": pytest.approx(1),
    }
    assert choose(lambda: one, lambda: other, wanted="onnx", device="cpu")[0] is one
    assert choose(lambda: one, lambda: other, wanted="torch", device="cpu")[0] is other


def test_half_precision_stays_near(tiny: Path) -> None:
    reference = TorchEmbedder(tiny, "tiny")(PICTURES)
    got = TorchEmbedder(tiny, "tiny", precision="bfloat16")(PICTURES)
    assert got.dtype == torch.float32 and AGREEMENT["bfloat16"] < agreement(reference, got) < 1


@pytest.mark.real
@pytest.mark.slow
def test_both_back_ends_agree_on_the_real_networks(shared: Path) -> None:
    models = shared / "models"
    for name in here(EMBEDDERS, shared):
        cosine = agreement(OnnxEmbedder(models, name)(PICTURES), TorchEmbedder(models, name)(PICTURES))
        assert cosine >= 0.9999, name
    for name in here(TEACHERS, shared):
        assert agreement(OnnxTeacher(models, name)(PICTURES), TorchTeacher(models, name)(PICTURES)) >= 0.9999, name


@pytest.mark.real
@pytest.mark.slow
def test_edgeface_by_onnx2torch_is_refused(shared: Path) -> None:
    """A user's own copy of the file is converted, not rebuilt: the wrong embeddings must not pass."""
    models = shared / "models"
    path = models / EMBEDDERS["edgeface_xxs"].path
    with pytest.raises(ValueError, match=r"edgeface_xxs: expected PyTorch to agree with ONNX Runtime"):
        load_models(Networks(models=models, embedder=str(path), backend_nets="torch"))


@pytest.mark.real
@pytest.mark.slow
def test_a_panel_gets_the_back_end_that_was_asked_for(shared: Path) -> None:
    loaded = load_models(Networks(models=shared / "models", held_out="mobilefacenet_192", backend_nets="torch"))
    assert {role: choice["backend"] for role, choice in loaded["backends"].items()} == {
        "embedder": "torch",
        "held_out": "torch",
        "teacher": "torch",
    }
    assert isinstance(loaded["embedder"], TorchEmbedder) and loaded["embedder"].name in REBUILT
    x = PICTURES[:2].float().requires_grad_()
    loaded["teacher"].read(x)[0][:, 3].sum().backward()
    assert x.grad is not None and float(x.grad.norm()) > 0


@pytest.mark.gpu
@pytest.mark.real
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_on_a_gpu_says_the_same_and_takes_no_more_memory(shared: Path) -> None:
    models = shared / "models"
    reference = OnnxEmbedder(models, "edgeface_xs")(PICTURES)
    for net in (
        TorchEmbedder(models, "edgeface_xs", device="cuda"),
        OnnxEmbedder(models, "edgeface_xs", device="cuda"),
    ):
        assert agreement(reference, net(PICTURES).cpu()) >= 0.9999
        taken = torch.cuda.mem_get_info()[0]
        for count in (1, 7, 20, 21):
            net(PICTURES[:count])
        assert torch.cuda.mem_get_info()[0] >= taken - 2**26
