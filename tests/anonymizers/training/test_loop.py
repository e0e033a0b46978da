"""Training of the generator: losses, gradients that reach it and none through a blackout, resuming, the program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from torch import Tensor
from torch.nn import functional

from anonymizers import Context, Faces, Generator
from anonymizers.classical.band_blur import recombine
from anonymizers.classical.regions import mask
from anonymizers.generative import conditioning, generator
from anonymizers.generative.conditioning import given, inputs
from anonymizers.generative.nets.noisy_unet import CODES, NoisyUNet, nats, sample
from anonymizers.training import losses
from anonymizers.training.critic import build_critic, build_spy, shake
from anonymizers.training.loop import train
from anonymizers.training.recipe import Recipe
from anonymizers.training.run import adopted
from anonymizers.training.truth import spread
from evaluators.demo.nets import load_demo_embedder, load_demo_teacher
from tests.helpers.tiny_training import TINY, begin


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
        run = begin(Recipe(steps=30, batch=6, width=8, rate=5e-3, **{**others, asked: 5.0}), told)  # type: ignore[arg-type]
        steps = [run.step() for _ in range(30)]
        early, late = (sum(step[asked] for step in part) / 10 for part in (steps[:10], steps[-10:]))
        assert late < 0.95 * early, asked


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


def test_shaking_moves_little_and_passes_gradients() -> None:
    picture = torch.rand(2, 3, 112, 112, requires_grad=True)
    shaken = shake(picture, torch.Generator().manual_seed(1))
    assert shaken.shape == picture.shape and shaken.min() >= 0 and shaken.max() <= 1
    shaken.sum().backward()
    assert picture.grad is not None and picture.grad.norm() > 0
    assert build_critic()(picture).shape == (2, 1, 7, 7)
    assert build_spy(64)(torch.randn(2, sum(c * s * s for c, s in CODES))).shape == (2, 64)


def test_too_few_faces_are_refused(told: Faces) -> None:
    with pytest.raises(ValueError, match=r"expected at least a batch of 48 faces .*, got 12"):
        begin(Recipe(batch=48), told)


def test_gains_learned_with_a_heavier_weight_hide_more(told: Faces) -> None:
    from anonymizers.training.bands import learn_gains

    embed, read = load_demo_embedder().embed, load_demo_teacher().read
    found = [learn_gains(told, embed, read, weight=weight, steps=25, batch=8, rate=0.2) for weight in (0.05, 20.0)]
    with torch.no_grad():
        clear = embed(told.images.float())
        cosines = [float((embed(net(told, Context()).float()) * clear).sum(1).mean()) for net in found]
    assert cosines[1] < cosines[0] - 0.1
