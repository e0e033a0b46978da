"""The demo networks: good on people they never saw, and trained for the renderer that is here."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from evaluators.demo.faces import DemoFaces, people
from evaluators.demo.geometry import EXPRESSIONS
from evaluators.demo.nets import (
    WEIGHTS,
    build,
    fold,
    load_demo_embedder,
    load_demo_held_out,
    load_demo_second_teacher,
    load_demo_teacher,
)
from evaluators.demo.training import (
    PEOPLE,
    arcface,
    one_against_the_rest,
    relabelled,
    renderer_digest,
    supervised_contrastive,
)
from evaluators.networks.roles import Embedder, Teacher


@pytest.fixture(scope="module")
def unseen() -> DemoFaces:
    return people(15_000, 100, 3, seed=5)


@pytest.mark.parametrize("load", [load_demo_embedder, load_demo_held_out])
def test_an_embedder_knows_100_unseen_people_from_one_picture_each(load: type, unseen: DemoFaces) -> None:
    net = load()
    assert isinstance(net, Embedder)
    embedding = net(unseen.images)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(300), atol=1e-5)
    drawn = embedding.view(100, 3, -1)
    answer = (drawn[:, 1:].flatten(0, 1) @ drawn[:, 0].T).argmax(1)
    assert float((answer == torch.arange(100).repeat_interleave(2)).double().mean()) >= 0.95
    assert torch.allclose(net(unseen.images[:7]), embedding[:7], atol=1e-5)


@pytest.mark.parametrize(("load", "goal"), [(load_demo_teacher, 0.50), (load_demo_second_teacher, 0.35)])
def test_a_teacher_reads_unseen_people(load: type, goal: float, unseen: DemoFaces) -> None:
    net = load()  # whoever knows the true motions names 0.67 of the words
    assert isinstance(net, Teacher)
    assert net.classes == EXPRESSIONS
    assert float((net(unseen.images).logits.argmax(1) == unseen.expression).double().mean()) >= goal


@pytest.mark.parametrize("net", list(PEOPLE))
def test_weights_belong_to_the_renderer_and_are_small(net: str) -> None:
    path = WEIGHTS / f"demo_{net}.safetensors"
    with safe_open(path, "pt") as file:
        assert file.metadata()["renderer"] == renderer_digest(), (
            "the renderer changed: run python -m evaluators.demo.training"
        )
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 8 * 2**20


@pytest.mark.parametrize("net", list(PEOPLE))
def test_the_folded_network_is_the_same(net: str) -> None:
    torch.manual_seed(0)
    module = build(net)
    module(torch.rand(8, 3, 112, 112))  # moves the running statistics away from their start
    module.eval()
    x = torch.rand(3, 3, 112, 112)
    with torch.no_grad():
        assert torch.allclose(fold(copy.deepcopy(module))(x), module(x), atol=1e-4)


def test_arcface_equals_its_formula() -> None:
    torch.manual_seed(0)
    embedding, weight, label = torch.randn(5, 8), torch.randn(4, 8), torch.tensor([0, 1, 2, 3, 1])
    expected = 0.0
    for n in range(5):
        cosine = [float(functional.cosine_similarity(embedding[n], weight[c], dim=0)) for c in range(4)]
        own = math.cos(math.acos(cosine[label[n]]) + 0.3)
        logits = [24 * (own if c == label[n] else cosine[c]) for c in range(4)]
        expected += math.log(sum(math.exp(v - logits[label[n]]) for v in logits)) / 5
    assert float(arcface(embedding, weight, label)) == pytest.approx(expected, abs=1e-4)


def test_one_against_the_rest_is_the_mean_of_binary_losses() -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 1])
    own = [[float(label[n] == c) for c in range(4)] for n in range(5)]
    expected = sum(
        -math.log(torch.sigmoid(logits[n, c] if own[n][c] else -logits[n, c])) for n in range(5) for c in range(4)
    )
    assert float(one_against_the_rest(logits, label)) == pytest.approx(expected / 20, abs=1e-5)


def test_a_share_of_the_labels_is_drawn_anew() -> None:
    label = torch.arange(7).repeat(1_000)
    drawn = relabelled(label, 0.15, torch.Generator().manual_seed(0))
    assert 0.11 < float((drawn != label).double().mean()) < 0.15  # one in seven is drawn as it was
    assert relabelled(label, 0.0, torch.Generator()).equal(label)


def test_the_contrastive_loss_equals_a_nested_loop() -> None:
    torch.manual_seed(0)
    embedding, label = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 1, 0])
    unit = functional.normalize(embedding)
    expected = 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        total = math.log(sum(math.exp(float(unit[i] @ unit[j]) / 0.1) for j in others))
        same = [j for j in others if label[j] == label[i]]
        expected -= sum(float(unit[i] @ unit[j]) / 0.1 - total for j in same) / len(same) / 6
    assert float(supervised_contrastive(embedding, label)) == pytest.approx(expected, abs=1e-4)
    embedding.requires_grad_()
    supervised_contrastive(embedding, label).backward()
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()
