"""Recipes: refused where they cannot be, carried by the weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from anonymizers import Context, Faces, Generator
from anonymizers.generative import generator
from anonymizers.generative.resident import person_digest, recipe_of, refuse_trained_on, trained_people
from anonymizers.training.loop import export, train
from anonymizers.training.recipe import Recipe
from evaluators.demo.nets import load_demo_embedder
from tests.helpers.tiny_training import TINY, begin


def test_weights_carry_the_recipe_and_draw_the_same_faces(
    told: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(begin(TINY, told), tmp_path / "x.ckpt")
    path = tmp_path / "demo_both-both.safetensors"
    export(run, path, {"embedder": "demo_embedder"})
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["recipe"]) == asdict(TINY)
        assert all(file.get_tensor(name).dtype == torch.float16 for name in file.keys())  # noqa: SIM118
    assert recipe_of(path)["dimension"] == 128
    monkeypatch.setattr(generator, "WEIGHTS", tmp_path)
    net = Generator(candidates=1, noise=0.0)
    released = net(told, Context(embed=load_demo_embedder().embed, embedder="demo_embedder"))
    assert released.unique().numel() > 10
    with pytest.raises(ValueError, match=r"demo_none-both.safetensors, which is missing; train it with python -m"):
        Generator(variant="none-both").network(None)
    path.write_bytes(b"none")
    with pytest.raises(ValueError, match=r"expected a generator that python -m orchestrator.train wrote"):
        net(told, Context())


def test_people_whom_a_network_was_trained_on_are_refused(
    told: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(begin(TINY, told), tmp_path / "x.ckpt")
    monkeypatch.setattr(generator, "WEIGHTS", tmp_path / "none")
    context = Context(models=tmp_path, embed=load_demo_embedder().embed)
    path = tmp_path / "generator" / "both-both.safetensors"
    net = Generator(candidates=1)
    export(run, path, {"people": json.dumps([person_digest("somebody/1.jpg")])})
    assert len(net(told, context)) == len(told)
    other = told.key[3].replace("picture", "another")  # of one of the people
    export(run, path, {"people": json.dumps([person_digest(other), person_digest("somebody/1.jpg")])})
    with pytest.raises(ValueError, match=r"people whom both-both.safetensors was not trained on, got .* of 12"):
        net(told, context)
    assert trained_people(path) == {person_digest(other), person_digest("somebody/1.jpg")}


def test_a_trained_person_is_refused_under_every_layout_of_a_set(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    trained = [person_digest(key) for key in ("Aaron/Aaron_0001.jpg", "2880/img_align_celeba/000001.jpg", "subject01")]
    save_file({"x": torch.zeros(1)}, path, metadata={"people": json.dumps(trained)})
    for key in (
        *("Aaron/Aaron_0002.jpg", "Aaron/train/Aaron/3.jpg", "Aaron/archive/lfw/Aaron/1.jpg", "Aaron/shoot/7.jpg"),
        *("2880/000009.jpg", "2880/Img/img_celeba/000009.jpg", "subject01/subject01.sad"),
        "train/Aaron/9.jpg",  # older files know the folder alone
    ):
        with pytest.raises(ValueError, match=r"of people whom net.safetensors was not trained on, got 1 of 2"):
            refuse_trained_on(path, (key, "Berta/1.jpg"), "net")
    refuse_trained_on(path, ("Berta/Aaron.jpg", "2881/img_align_celeba/000001.jpg", "subject02/subject01.sad"), "net")
    assert trained_people(tmp_path / "other.pth") == frozenset()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"conditioning": "aura"},
            "Recipe.conditioning: expected one of none, landmarks, parsing, both, expression, landmarks[+]expression, "
            "got 'aura'",
        ),
        ({"expression_loss": "smile"}, "Recipe.expression_loss: expected one of none, kd_logit, feature, both"),
        ({"steps": 0}, "Recipe.steps: expected at least 1, got 0"),
        ({"batch": 1}, "Recipe.batch: expected at least 2"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)  # type: ignore[arg-type]
