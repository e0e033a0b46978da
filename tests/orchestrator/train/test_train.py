"""The program that trains: recipes, faces, resuming, several processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from anonymizers import Context, Faces, Refined
from anonymizers.generative import refined
from anonymizers.generative.resident import person_digest, recipe_of
from anonymizers.training.recipe import Recipe, Refining
from anonymizers.training.run import Run
from evaluators.networks.backends.onnx_nets import OnnxEmbedder
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.loaders import load_detector
from evaluators.networks.signals import load_signals, with_measured
from evaluators.zoo import load_nets
from orchestrator.search.faces import FaceChoice
from orchestrator.train import recipes, work
from orchestrator.train.__main__ import app
from orchestrator.train.asked import perceptual_of
from orchestrator.train.faces import training_faces, with_mirrored
from orchestrator.train.on_ray import train_together
from orchestrator.train.recipes import preludes_of, recipes_of
from orchestrator.train.task import Task, Training
from search_spaces import SPACES
from tests.helpers.tiny_training import metadata

ANY, DEMO = Training("expression_loss_ablation"), FaceChoice()


def test_faces_and_their_mirror_images_are_trained_on_in_turn(told: Faces) -> None:
    both = with_mirrored(told)
    assert len(both) == 2 * len(told) and torch.equal(both.images[1::2], told.images.flip(3))
    assert torch.equal(both.images[::2], told.images) and both.people == told.people
    assert torch.equal(both.signals["landmarks68"][::2], told.signals["landmarks68"])
    assert {person_digest(key) for key in both.key} == {person_digest(key) for key in told.key}


def test_the_recipes_of_a_space_and_their_prelude() -> None:
    recipes = recipes_of(SPACES["expression_loss_ablation"], ANY, DEMO)
    assert [recipe.name for recipe in recipes] == ["both-none", "both-kd_logit", "both-feature", "both-both"]
    (prelude,) = preludes_of(recipes)
    assert (prelude.conditioning, prelude.expression_loss, prelude.steps) == ("both", "none", recipes[0].prelude)
    assert not prelude.asks and all(recipe.asks for recipe in recipes)
    recipes = recipes_of(SPACES["conditioning_on_photographs"], ANY, FaceChoice(data=Path("faces")))
    (prelude,) = preludes_of(recipes)
    assert prelude.conditioning == "landmarks+expression" and prelude.width == recipes[0].width
    assert preludes_of(recipes[2:])[0].conditioning == "expression"
    recipes = recipes_of(SPACES["conditioning_ablation"], ANY, DEMO)  # maps and words, which no conditioning has all of
    (prelude,) = preludes_of(recipes)
    assert prelude.conditioning == "both" and len(recipes) == 5
    with pytest.raises(ValueError, match="--space bands: expected a space with the method generator"):
        recipes_of(SPACES["bands"], ANY, DEMO)
    with pytest.raises(
        ValueError, match=r"--variant: expected one of both-none, .*, got 'none-both'; the nearest is both-both"
    ):
        recipes_of(SPACES["expression_loss_ablation"], Training("", variants=("none-both",)), DEMO)


@pytest.mark.slow
def test_the_program_trains_resumes_and_leaves_what_a_search_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "DEMO_PEOPLE", (6_000, 12, 7))
    monkeypatch.setattr(recipes, "FOR_DEMO", Recipe(steps=4, batch=6, prelude=3))
    asked = ["--space", "expression_loss_ablation", "--variant", "both-none", "--variant", "both-feature"]
    runner = CliRunner()
    done = runner.invoke(app, [*asked, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "demo_prelude: step 3 of 3" in done.output and "demo_both-feature: step 4 of 4" in done.output
    drawn = {}
    for name in ("both-none", "both-feature"):
        path = tmp_path / f"demo_{name}.safetensors"
        assert recipe_of(path)["prelude"] == 3
        drawn[name] = load_file(path)
        assert (tmp_path / f"demo_{name}" / "step_000004.png").stat().st_size > 10_000
    assert any(not torch.equal(value, drawn["both-feature"][name]) for name, value in drawn["both-none"].items())
    again = runner.invoke(app, [*asked, "--out", str(tmp_path), "--resume"])
    assert again.exit_code == 0 and "step 4 of 4" not in again.output  # nothing was left to do
    for name, value in load_file(tmp_path / "demo_both-none.safetensors").items():  # the header's order is no one's
        assert torch.equal(value, drawn["both-none"][name])
    begun = ["--space", "conditioning_ablation", "--variant", "expression-both", "--begin"]
    done = runner.invoke(app, [*begun, str(tmp_path / "demo_both-none.safetensors"), "--out", str(tmp_path)])
    assert done.exit_code == 0 and "prelude" not in done.output, done.output
    with safe_open(tmp_path / "demo_expression-both.safetensors", "pt") as file:
        assert file.metadata()["begun_with"].startswith("demo_both-none.safetensors, SHA-256 ")
        assert json.loads(file.metadata()["recipe"])["prelude"] == 0
    done = runner.invoke(app, [*begun, str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    assert done.exit_code == 2 and "--begin: expected a generator's file" in done.output


def test_the_program_trains_a_network_that_refines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "DEMO_PEOPLE", (6_000, 12, 2))
    monkeypatch.setattr(recipes, "REFINING_DEMO", Refining(steps=2, batch=6, school=2, width=8))
    done = CliRunner().invoke(app, ["--space", "refined", "--out", str(tmp_path)])
    assert done.exit_code == 0 and "demo_refined: step 2 of 2" in done.output, done.output
    said = metadata(tmp_path / "demo_refined.safetensors")
    assert json.loads(said["recipe"])["school"] == 2 and said["commit"]
    assert (said["teacher"], said["left_out"]) == ("demo_teacher", "demo_second_teacher")
    monkeypatch.setattr(refined, "WEIGHTS", tmp_path)
    faces = training_faces(Task((), ANY, DEMO, None, tmp_path, "cpu", (6_500, 4, 2)), (), Console(quiet=True))
    assert Refined(k=2)(faces, Context(background=faces)).unique().numel() > 10
    other = ["--space", "refined", "--out", str(tmp_path), "--left-out"]
    done = CliRunner().invoke(app, [*other, "demo_teacher"])
    assert done.exit_code == 0 and metadata(tmp_path / "demo_refined.safetensors")["left_out"] == "demo_teacher"
    done = CliRunner().invoke(app, [*other, "nobody"], env={"COLUMNS": "400"})
    assert done.exit_code == 2 and "--left-out: expected one of demo_teacher, demo_second_teacher" in done.output


def test_the_recipe_of_refining_joins_those_of_generators() -> None:
    (only,) = recipes_of(SPACES["refined_ablation"], Training("refined_ablation", steps=7), DEMO)
    assert isinstance(only, Refining) and only.steps == 7 and preludes_of((only,)) == ()
    (real,) = recipes_of(SPACES["refined"], Training("refined"), FaceChoice(data=Path("faces"), seed=2))
    assert isinstance(real, Refining) and real.bank > only.bank and real.seed == 2


@pytest.mark.slow
@pytest.mark.ray
def test_two_processes_train_together(tmp_path: Path) -> None:
    recipe = Recipe(steps=4, batch=6, width=8)
    task = Task((recipe,), ANY, DEMO, None, tmp_path, "cpu", (6_000, 12, 7))
    train_together(task, 2)
    path = tmp_path / "demo_both-both.safetensors"
    assert recipe_of(path)["steps"] == 4
    assert (tmp_path / "demo_both-both" / "step_000004.png").is_file()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--space", "atlantis"], "--space: expected one of"),
        (["--space", "cloaks"], "--space cloaks: expected a space with the method generator or refined, it has none"),
        (["--space", "refined", "--begin", "net"], "--begin: expected generators to train, the method refined begins"),
        (["--space", "generator", "--left-out", "x"], "--left-out x: does nothing without the method refined"),
        (["--space", "generator", "--variant", "aura"], "--variant: expected one of none-both"),
        (["--space", "generator", "--min-pictures", "3"], "--min-pictures 3: does nothing on the demo world"),
        (["--space", "generator", "--data", "."], "--data: real faces need real networks"),
        (["--space", "generator", "--data", ".", "--models", "."], "--data: expected a prepared set, . has no"),
        (["--space", "generator", "--models", "nowhere"], "--models: a choice of real networks needs real faces"),
    ],
)
def test_what_the_program_cannot_do_is_one_sentence(asked: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, asked, env={"COLUMNS": "400"})
    assert done.exit_code == 2 and sentence in done.output


def people(images: Tensor) -> Faces:
    """Return faces of as many people."""
    number = torch.arange(len(images))
    return Faces(images, number, torch.full_like(number, -1), tuple(map(str, number.tolist())))


@pytest.mark.real
def test_the_network_for_photographs_draws_faces_of_nobody_by_the_code(shared: Path, london: Tensor) -> None:
    models = shared / "models"
    net = Refined(k=4, axes=6)
    path = net.network(models)
    assert path.name == "photographs_refined.safetensors"
    everybody = with_measured(people(london), load_signals(models, net.background_needs))
    faces, others = everybody.take(range(4)), everybody.take(range(4, len(everybody)))
    context = Context(models=models, background=others)
    drawn = net(faces, context)
    assert bool(load_detector(models, threads=1)(drawn).found.all())
    embedder = OnnxEmbedder(models, "edgeface_xs", threads=1)
    assert (embedder(faces.images) * embedder(drawn)).sum(1).max() < 0.4  # of one person it is 0.6
    again = net(
        replace(faces, key=tuple(f"{key} anew" for key in faces.key)), Context(models=models, background=others)
    )
    assert (again.float() - drawn.float()).abs().mean() > 2  # another draw, somebody else
    assert person_digest("Aaron_Eckhart/Aaron_Eckhart_0001.jpg") in metadata(path)["people"]
    with pytest.raises(ValueError, match=r"such as Aaron_Eckhart/mine.jpg; a search takes them"):
        net(replace(faces, key=("Aaron_Eckhart/mine.jpg", *faces.key[1:])), context)


@pytest.mark.real
@pytest.mark.slow
def test_real_networks_train_a_generator_on_real_faces(shared: Path, london: Tensor) -> None:
    models = shared / "models"
    faces = with_measured(people(london), load_signals(models, ("landmarks68",)))
    nets = load_nets(Networks(models=models, backend_nets="torch"), differentiable=True)
    assert nets.differentiable is not None
    read = nets.teacher.read  # type: ignore[attr-defined]
    recipe = Recipe(conditioning="landmarks", expression_loss="both", steps=2, batch=4, width=8)
    run = Run(recipe, faces, nets.differentiable.embed, read, perceptual=perceptual_of(nets))
    before = {name: value.clone() for name, value in run.net.named_parameters()}
    steps = [run.step() for _ in range(2)]
    assert all(torch.tensor(list(step.values())).isfinite().all() for step in steps)
    assert {"perceptual", "expression", "attraction"} <= steps[0].keys()
    assert all(not torch.equal(value, before[name]) for name, value in run.net.named_parameters())
    assert run.truth.embedding.shape == (8, 512)
