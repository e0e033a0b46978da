"""Training of the generator: losses, gradients that reach it and none through a blackout, resuming, the program."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.covariance import EmpiricalCovariance
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from anonymizers import Context, Faces, Generator
from anonymizers.classical.band_blur import recombine
from anonymizers.classical.regions import mask
from anonymizers.generative import conditioning, generator
from anonymizers.generative.conditioning import given, inputs
from anonymizers.generative.nets.noisy_unet import CODES, NoisyUNet, nats, sample
from anonymizers.generative.resident import person_digest, recipe_of
from anonymizers.training import losses
from anonymizers.training.critic import build_critic, build_spy, shake
from anonymizers.training.loop import export, train
from anonymizers.training.recipe import Recipe
from anonymizers.training.run import Run, adopted
from anonymizers.training.truth import spread
from evaluators.demo.nets import load_demo_embedder, load_demo_teacher
from evaluators.networks.backends.onnx_nets import OnnxEmbedder
from evaluators.networks.loaders import load_detector
from evaluators.networks.signals import load_signals, with_measured
from evaluators.zoo import load_nets
from orchestrator.train import __main__ as program
from orchestrator.train import recipes, work
from orchestrator.train.__main__ import app
from orchestrator.train.faces import with_mirrored
from orchestrator.train.on_ray import train_together
from orchestrator.train.recipes import preludes_of, recipes_of
from orchestrator.train.task import Task
from search_spaces import SPACES

TINY = Recipe(steps=4, batch=6, width=8)


def begin(recipe: Recipe, faces: Faces) -> Run:
    return Run(recipe, faces, load_demo_embedder().embed, load_demo_teacher().read)


def test_the_distillation_loss_is_torchs() -> None:
    answered, reference = torch.randn(2, 5, 7).unbind()
    theirs = functional.kl_div(
        (answered / 2).log_softmax(1), (reference / 2).softmax(1), reduction="batchmean", log_target=False
    )
    torch.testing.assert_close(losses.kd_logit(answered, reference), theirs * 4)
    assert losses.kd_logit(reference, reference) == 0
    torch.testing.assert_close(losses.feature(answered, -answered), torch.tensor(2.0))
    assert losses.expression("none", (answered, answered), (reference, reference)) == 0
    both = losses.expression("both", (answered, answered), (reference, reference))
    parts = [losses.expression(kind, (answered, answered), (reference, reference)) for kind in ("kd_logit", "feature")]
    torch.testing.assert_close(both, parts[0] + parts[1])
    with pytest.raises(ValueError, match="expected one of none, kd_logit, feature, both, got 'smile'"):
        losses.expression("smile", (answered, answered), (reference, reference))


def test_nats_are_torchs_divergence() -> None:
    mean, spread_ = torch.randn(2, 3, 4, 2, 2).unbind()
    own = torch.distributions.Normal(mean, (0.5 * spread_).exp())
    theirs = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(nats([(mean, spread_)]), theirs)


def test_identities_are_drawn_as_the_background_is_distributed() -> None:
    torch.manual_seed(0)
    embedding = functional.normalize(torch.randn(400, 12) @ torch.randn(12, 12) * 0.1 + torch.randn(12))
    mean, factor = spread(embedding)
    theirs = EmpiricalCovariance().fit(embedding.numpy())
    torch.testing.assert_close(mean, torch.from_numpy(theirs.location_).float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(factor.T @ factor, torch.from_numpy(theirs.covariance_).float(), atol=1e-5, rtol=0)
    net = NoisyUNet(inputs=3, dimension=12, width=8)
    net.identity_mean, net.identity_factor = mean, factor
    drawn = net.identities(torch.randn(4000, 12))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(4000))
    assert functional.cosine_similarity(drawn.mean(0), embedding.mean(0), dim=0) > 0.999


@pytest.mark.parametrize("kind", ["kd_logit", "feature", "both"])
def test_a_loss_on_the_expression_reaches_every_weight_on_the_way(kind: str, told: Faces) -> None:
    net = NoisyUNet(inputs=inputs("both"), dimension=128, width=8)
    read = load_demo_teacher().read
    shown = given(told, "both", 14)
    noise = [torch.randn(len(told), c, s, s) for c, s in CODES]
    target = functional.normalize(torch.randn(len(told), 128))
    picture = net.decode(sample(net.encode(shown), noise), target, target[:, :0])
    reference = read(told.images.float())
    losses.expression(kind, read(picture * 255), reference).backward()
    norms = {name: float(p.grad.norm()) for name, p in net.named_parameters() if p.grad is not None}
    assert set(norms) == {name for name, _ in net.named_parameters()}
    assert all(norm > 0 for norm in norms.values()), norms
    total = sum(norm**2 for norm in norms.values()) ** 0.5
    assert 1e-4 < total < 1e4


def test_no_gradient_passes_a_blackout(told: Faces) -> None:
    gains = torch.full((4,), 0.5, requires_grad=True)
    read = load_demo_teacher().read
    images = told.images[:4].float()
    reference = read(images)

    def slope(covered: Tensor) -> float:
        released = recombine(images, gains).masked_fill(covered, 0.0)
        (found,) = torch.autograd.grad(losses.expression("both", read(released), reference), gains)
        return float(found.norm())

    nothing = torch.zeros(112, 112, dtype=torch.bool)
    assert slope(nothing) > 1e-3
    assert slope(~nothing) == 0
    assert 0 < slope(mask("face", 112, images.device)) < slope(nothing)


def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(told: Faces, tmp_path: Path) -> None:
    whole = train(begin(TINY, told), tmp_path / "whole.ckpt")
    first = begin(TINY, told)
    for _ in range(2):
        first.step()
    from anonymizers.training.loop import keep

    keep(first, tmp_path / "half.ckpt")
    again = train(begin(TINY, told), tmp_path / "half.ckpt", resume=True)
    assert again.step_number == 4
    for name, value in whole.weights().items():
        assert torch.equal(value, again.weights()[name]), name
    other = begin(Recipe(steps=4, batch=6, width=8, price=0.5), told)
    with pytest.raises(ValueError, match="--resume: expected a checkpoint of Recipe"):
        train(other, tmp_path / "half.ckpt", resume=True)


def test_training_lowers_what_it_is_asked_to_lower(told: Faces) -> None:
    weights = ("reconstruction", "attraction", "expression")
    for asked in weights:
        others = dict.fromkeys((*weights, "repulsion", "critic", "leak", "price"), 0.0)
        run = begin(Recipe(steps=60, batch=6, width=8, rate=5e-3, **{**others, asked: 5.0}), told)  # type: ignore[arg-type]
        steps = [run.step() for _ in range(60)]
        early, late = (sum(step[asked] for step in part) / 10 for part in (steps[:10], steps[-10:]))
        assert late < 0.95 * early, asked


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


def test_what_is_adopted_from_a_network_that_sees_more(told: Faces) -> None:
    whole = NoisyUNet(inputs=inputs("both"), dimension=128, width=8)
    for seen_by in ("none", "landmarks", "parsing", "both"):
        part = NoisyUNet(inputs=inputs(seen_by), dimension=128, width=8)
        part.load_state_dict(adopted(whole.state_dict(), "both", seen_by))
        # Where the signals that it does not see are zero, the larger network says the same.
        seen = given(told, seen_by, 14)
        maps = torch.full((len(told), inputs("both"), 56, 56), 0.5)
        places = {"none": [], "landmarks": range(3, 8), "parsing": range(8, 17), "both": range(3, 17)}[seen_by]
        maps[:, [0, 1, 2, *places]] = seen
        for (a, b), (c, d) in zip(part.encode(seen), whole.encode(maps), strict=True):
            torch.testing.assert_close(a, c, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(b, d, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="training 'parsing': expected to begin with a network that sees parsing too"):
        adopted(whole.state_dict(), "landmarks", "parsing")


def test_words_are_lost_and_learned(told: Faces) -> None:
    codes = [torch.randn(len(told), c, s, s) for c, s in CODES]
    target = functional.normalize(torch.randn(len(told), 128))
    silent = NoisyUNet(inputs=inputs("landmarks"), dimension=128, width=8)
    spoken = NoisyUNet(inputs=inputs("expression"), dimension=128, width=8, words=7)
    spoken.load_state_dict(adopted(silent.state_dict(), "landmarks", "expression"))
    said = conditioning.told(told, "expression")
    before, after = silent.decode(codes, target, target[:, :0]), spoken.decode(codes, target, said)
    assert 0 < (before - after).abs().mean() < 0.01  # begins as if nothing were said, nearly
    with torch.no_grad():
        spoken.style[0].weight[:, -7:] = torch.randn(64, 7)  # type: ignore[index]
    assert (spoken.decode(codes, target, said) - spoken.decode(codes, target, said.roll(1, 1))).abs().mean() > 0.01
    again = NoisyUNet(inputs=inputs("none"), dimension=128, width=8)
    again.load_state_dict(adopted(spoken.state_dict(), "expression", "none"))
    torch.testing.assert_close(
        again.decode(codes, target, target[:, :0]), spoken.decode(codes, target, torch.zeros(len(told), 7))
    )


def test_a_network_of_means_begins_with_the_mean_face_of_each_word(told: Faces) -> None:
    told = replace(told, signals={"expression": told.signals["expression"] % 3})  # nobody is told the last four
    word = told.signals["expression"][:, 0]
    said = conditioning.told(told, "expression")
    pictures = told.images.float() / 255
    net = NoisyUNet(inputs=inputs("expression"), dimension=128, width=8, words=7, means=True)
    net.begin_with_means(pictures, said)
    with torch.no_grad():
        for value in net.exit.parameters():
            value.zero_()
    codes = [torch.randn(len(told), c, s, s) for c, s in CODES]
    target = functional.normalize(torch.randn(len(told), 128))
    drawn = net.decode(codes, target, said)
    for picture, own in zip(drawn, word, strict=True):
        mean = pictures[word == own].mean(0).clamp(0.01, 0.99)
        torch.testing.assert_close(picture, mean, atol=1e-4, rtol=0)
    unknown = functional.one_hot(torch.full((len(told),), 6), 7).float()
    everybody = net.decode(codes, target, unknown)[0]
    torch.testing.assert_close(everybody, pictures.mean(0).clamp(0.01, 0.99), atol=1e-4, rtol=0)
    # Who is told less keeps the mean of all; who is told more begins with it.
    silent = NoisyUNet(inputs=inputs("none"), dimension=128, width=8, means=True)
    silent.load_state_dict(adopted(net.state_dict(), "expression", "none"))
    again = NoisyUNet(inputs=inputs("expression"), dimension=128, width=8, words=7, means=True)
    again.load_state_dict(adopted(silent.state_dict(), "none", "expression"))
    first = silent.decode(codes, target, target[:, :0])
    torch.testing.assert_close(first[0], pictures.mean(0).clamp(0.01, 0.99), atol=1e-4, rtol=0)
    torch.testing.assert_close(again.decode(codes, target, said), first, atol=1e-4, rtol=0)


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


def test_photographs_find_the_projects_own_network_behind_that_of_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "WEIGHTS", tmp_path / "own")
    for folder, name in (("own", "photographs_both-both"), ("models/generator", "both-both")):
        with pytest.raises(ValueError, match=r"models/generator/both-feature.safetensors, which is missing"):
            Generator(variant="both-feature").network(tmp_path / "models")
        path = tmp_path / folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True)
        path.touch()
        assert Generator().network(tmp_path / "models") == path


def test_faces_and_their_mirror_images_are_trained_on_in_turn(told: Faces) -> None:
    both = with_mirrored(told)
    assert len(both) == 2 * len(told) and torch.equal(both.images[1::2], told.images.flip(3))
    assert torch.equal(both.images[::2], told.images) and both.people == told.people
    assert torch.equal(both.signals["landmarks68"][::2], told.signals["landmarks68"])
    assert {person_digest(key) for key in both.key} == {person_digest(key) for key in told.key}


def test_shaking_moves_little_and_passes_gradients() -> None:
    picture = torch.rand(2, 3, 112, 112, requires_grad=True)
    shaken = shake(picture, torch.Generator().manual_seed(1))
    assert shaken.shape == picture.shape and shaken.min() >= 0 and shaken.max() <= 1
    shaken.sum().backward()
    assert picture.grad is not None and picture.grad.norm() > 0
    assert build_critic()(picture).shape == (2, 1, 7, 7)
    assert build_spy(64)(torch.randn(2, sum(c * s * s for c, s in CODES))).shape == (2, 64)


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


def test_too_few_faces_are_refused(told: Faces) -> None:
    with pytest.raises(ValueError, match=r"expected at least a batch of 48 faces .*, got 12"):
        begin(Recipe(batch=48), told)


def test_the_recipes_of_a_space_and_their_prelude() -> None:
    recipes = recipes_of(SPACES["expression_loss_ablation"], [], False, None, None, 0)
    assert [recipe.name for recipe in recipes] == ["both-none", "both-kd_logit", "both-feature", "both-both"]
    (prelude,) = preludes_of(recipes)
    assert (prelude.conditioning, prelude.expression_loss, prelude.steps) == ("both", "none", recipes[0].prelude)
    assert not prelude.asks and all(recipe.asks for recipe in recipes)
    recipes = recipes_of(SPACES["conditioning_on_photographs"], [], True, None, None, 0)
    (prelude,) = preludes_of(recipes)
    assert prelude.conditioning == "landmarks+expression" and prelude.width == recipes[0].width
    assert preludes_of(recipes[2:])[0].conditioning == "expression"
    with pytest.raises(ValueError, match="--space bands: expected a space with the method generator"):
        recipes_of(SPACES["bands"], [], False, None, None, 0)
    with pytest.raises(ValueError, match=r"--variant: expected some of both-none, .*, got none-both"):
        recipes_of(SPACES["expression_loss_ablation"], ["none-both"], False, None, None, 0)


def test_gains_learned_with_a_heavier_weight_hide_more(told: Faces) -> None:
    from anonymizers.training.bands import learn_gains

    embed, read = load_demo_embedder().embed, load_demo_teacher().read
    found = [learn_gains(told, embed, read, weight=weight, steps=25, batch=8, rate=0.2) for weight in (0.05, 20.0)]
    with torch.no_grad():
        clear = embed(told.images.float())
        cosines = [float((embed(net(told, Context()).float()) * clear).sum(1).mean()) for net in found]
    assert cosines[1] < cosines[0] - 0.1


@pytest.mark.slow
def test_the_program_trains_resumes_and_leaves_what_a_search_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "DEMO_PEOPLE", (6_000, 12, 7))
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


@pytest.mark.slow
@pytest.mark.ray
def test_two_processes_train_together(tmp_path: Path) -> None:
    recipe = Recipe(steps=4, batch=6, width=8)
    task = Task((recipe,), None, None, {}, tmp_path, "cpu", None, 0, 100, False, (6_000, 12, 7))
    train_together(task, 2)
    path = tmp_path / "demo_both-both.safetensors"
    assert recipe_of(path)["steps"] == 4
    assert (tmp_path / "demo_both-both" / "step_000004.png").is_file()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--space", "atlantis"], "--space: expected one of"),
        (["--space", "cloaks"], "--space cloaks: expected a space with the method generator, it has none"),
        (["--space", "generator", "--variant", "aura"], "--variant: expected some of none-both"),
        (["--space", "generator", "--models", "nowhere"], "--data and --models: expected both"),
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
def test_the_generator_of_photographs_draws_faces_of_nobody_with_the_expression(shared: Path, london: Tensor) -> None:
    models = shared / "models"
    net = Generator(variant="expression-both", candidates=1)
    path = net.network(models)
    assert path.name == "photographs_expression-both.safetensors"
    faces = with_measured(people(london), load_signals(models, ("expression",)))
    drawn = net(faces, Context(models=models))
    assert bool(load_detector(models, threads=1)(drawn).found.all())
    embedder = OnnxEmbedder(models, "edgeface_xs", threads=1)
    assert (embedder(london) * embedder(drawn)).sum(1).max() < 0.4  # of one person it is 0.6
    # Another word, another face; and the same face for whoever has the same word, nearly.
    told = {"expression": (faces.signals["expression"] + 1) % 7}
    other = net(replace(faces, signals=told), Context(models=models))
    assert (other.float() - drawn.float()).abs().mean() > 2
    assert person_digest("Aaron_Eckhart/Aaron_Eckhart_0001.jpg") in metadata(path)["people"]
    with pytest.raises(ValueError, match=r"such as Aaron_Eckhart/mine.jpg; search with the --seed"):
        net(replace(faces, key=("Aaron_Eckhart/mine.jpg", *faces.key[1:])), Context(models=models))


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata())


@pytest.mark.real
@pytest.mark.slow
def test_real_networks_train_a_generator_on_real_faces(shared: Path, london: Tensor) -> None:
    models = shared / "models"
    faces = with_measured(people(london), load_signals(models, ("landmarks68",)))
    nets = load_nets(models, backend="torch", differentiable=True)
    assert nets.differentiable is not None
    read = nets.teacher.read  # type: ignore[attr-defined]
    recipe = Recipe(conditioning="landmarks", expression_loss="both", steps=2, batch=4, width=8)
    run = Run(recipe, faces, nets.differentiable.embed, read, perceptual=work._perceptual(nets))
    before = {name: value.clone() for name, value in run.net.named_parameters()}
    steps = [run.step() for _ in range(2)]
    assert all(torch.tensor(list(step.values())).isfinite().all() for step in steps)
    assert {"perceptual", "expression", "attraction"} <= steps[0].keys()
    assert all(not torch.equal(value, before[name]) for name, value in run.net.named_parameters())
    assert run.truth.embedding.shape == (8, 512)
