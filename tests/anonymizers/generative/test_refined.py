"""Refined averages: nothing of a face but its code reaches the picture, and the correction begins as none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from anonymizers import Context, Donors, Faces, Refined
from anonymizers.generative import refined
from anonymizers.generative.nets.refining_unet import RefiningUNet, corrected
from evaluators.demo.faces import people
from evaluators.demo.protocol import faces_of


@pytest.fixture(scope="module")
def background() -> Faces:
    return faces_of(people(31_000, 20, 2))


@pytest.fixture
def loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RefiningUNet:
    """Put a network of random weights, whose corrections are large, where the demo world's lies."""
    torch.manual_seed(0)
    net = RefiningUNet(code=14, dimension=128, width=8)
    torch.nn.init.normal_(net.exit[0].weight, std=0.1)  # type: ignore[arg-type]
    save_file(net.state_dict(), tmp_path / "demo_refined.safetensors", metadata={"recipe": '{"width": 8}'})
    monkeypatch.setattr(refined, "WEIGHTS", tmp_path)
    return net


def others(faces: Faces) -> Faces:
    """Return the same codes and names on other pictures, with other landmarks."""
    noise = torch.randint(0, 256, faces.images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return replace(faces, images=noise, signals={**faces.signals, "landmarks68": 112 * torch.rand(len(faces), 68, 2)})


@pytest.mark.usefixtures("loud")
def test_two_faces_with_equal_codes_and_draws_get_equal_pictures(told: Faces, background: Faces) -> None:
    method, context = Refined(k=5), Context(background=background)
    released = method(told, context)
    assert torch.equal(released, method(others(told), context))
    assert method.needed() == ("coefficients", "pose")  # and no landmark of the face
    codes = {name: told.signals[name].clone() for name in ("coefficients", "pose")}
    for value in codes.values():
        value[1] = value[0]
    same = replace(told, signals={**told.signals, **codes})
    first, second = (method(replace(same.take([n]), key=("one",)), context)[0] for n in (0, 1))  # draws are of the key
    assert torch.equal(first, second)
    third = method(replace(same.take([2]), key=("one",)), context)[0]
    assert not torch.equal(second, third)
    assert torch.equal(released[0], method(told.take([0]), context)[0])  # whoever is released with it


@pytest.mark.usefixtures("loud")
def test_what_is_drawn_is_of_the_key_and_the_secret_and_narrows_to_nobody(told: Faces, background: Faces) -> None:
    one = {name: value[:1].expand_as(value) for name, value in told.signals.items()}
    alike, context = replace(told, signals=one), Context(background=background)
    drawn, nobody = Refined(k=5)(alike, context), Refined(k=5, spread=0.0)(alike, context)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn, Refined(k=5)(alike, replace(context, seed=1)))
    assert torch.equal(nobody, nobody[:1].expand_as(nobody))
    assert torch.equal(nobody, Refined(k=5, spread=0.0)(alike, replace(context, seed=1)))


@pytest.mark.usefixtures("loud")
def test_without_strength_the_average_of_donors_is_left(told: Faces, background: Faces) -> None:
    context = Context(background=background)
    average = Donors(k=5, axes=4, noise=0.5)(told, context)
    none = Refined(k=5, axes=4, noise=0.5, strength=0.0)(told, context)
    assert (none.int() - average.int()).abs().max() <= 1
    half, whole = (Refined(k=5, axes=4, noise=0.5, strength=s)(told, context).float() for s in (0.5, 1.0))
    assert 2 < (half - average).abs().mean() < (whole - average).abs().mean()


@pytest.mark.usefixtures("loud")
def test_the_network_is_told_no_more_of_the_code_than_the_donors(told: Faces, background: Faces) -> None:
    from anonymizers.classical.averaging.bank import bank_of

    bank, context, one = bank_of(background), Context(background=background), told.take([0])
    beyond = bank.axes[:, 4:].sum(1) * bank.deviation[:-3]
    other = replace(one, signals={**one.signals, "coefficients": one.signals["coefficients"] + beyond})
    assert not torch.equal(Refined(k=5)(one, context), Refined(k=5)(other, context))
    few = Refined(k=5, axes=4)
    assert (few(one, context).int() - few(other, context).int()).abs().max() <= 1  # but for rounding


def test_a_fresh_network_corrects_nothing_and_every_weight_on_the_way_can_learn(loud: RefiningUNet) -> None:
    average = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    target, code = functional.normalize(torch.randn(2, 128)), torch.randn(2, 14)
    fresh = RefiningUNet(code=14, dimension=128, width=8)
    torch.testing.assert_close(corrected(average, fresh(average, target, code)), average)
    corrected(average, loud(average, target, code)).square().mean().backward()
    assert all(p.grad is not None and p.grad.norm() > 0 for p in loud.parameters())


def test_identities_are_drawn_around_the_mean() -> None:
    net = RefiningUNet(code=4, dimension=6, width=8)
    net.identity_mean = functional.normalize(torch.ones(6), dim=0)
    noise = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    cosines = [(net.identities(noise, spread) @ net.identity_mean).mean() for spread in (0.0, 0.5, 1.0)]
    assert cosines[0] == pytest.approx(1) and cosines[0] > cosines[1] > cosines[2]
    each = net.identities(noise[:2], torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(each[0], net.identity_mean)
    torch.testing.assert_close(each[1], net.identities(noise[1:2])[0])


@pytest.mark.usefixtures("loud")
def test_codes_of_another_kind_and_a_missing_network_are_refused(
    told: Faces, background: Faces, tmp_path: Path
) -> None:
    def wider(faces: Faces) -> Faces:
        return replace(faces, signals={**faces.signals, "coefficients": faces.signals["coefficients"].repeat(1, 2)})

    with pytest.raises(ValueError, match=r"expected faces whose code has 14 numbers, .*, got 25; train it"):
        Refined(k=5)(wider(told), Context(background=wider(background)))
    with pytest.raises(ValueError, match=r"generator/refined.safetensors, which is missing; train it with python -m"):
        Refined().network(tmp_path)
    for file in ("photographs_refined.safetensors", "generator/refined.safetensors"):  # the project's own, then theirs
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert Refined().network(tmp_path) == path
