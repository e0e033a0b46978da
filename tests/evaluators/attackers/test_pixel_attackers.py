"""Attackers that train through the embedder, on pictures where the truth is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.attackers.learning import unet
from evaluators.attackers.learning.descent import descend, which_of_all
from evaluators.attackers.learning.unet import UNet
from evaluators.attackers.pictures import finetuned, restored
from evaluators.metrics.identification import person_scores, rank_credit
from evaluators.networks.roles import Differentiable
from tests.conftest import smooth_faces
from tests.helpers.planted_pixels import CHANCE, MOST_BY_CHANCE, PEOPLE, PICTURES, Linear, tiles_moved

NET = Linear()
OTHERS = smooth_faces(250, 2, seed=1)
KNOWN = smooth_faces(PEOPLE, PICTURES, seed=2)
GALLERY = torch.arange(PEOPLE * PICTURES) % PICTURES < PICTURES // 2
PERSON = torch.arange(PEOPLE).repeat_interleave(PICTURES // 2)
Method = Callable[[Tensor], Tensor]


def pixels_shuffled(images: Tensor) -> Tensor:
    """Give each pixel another place in the whole picture."""
    place = torch.randperm(112 * 112, generator=torch.Generator().manual_seed(4))
    return images.flatten(2)[:, :, place].view_as(images)


def constant(images: Tensor) -> Tensor:
    return torch.full_like(images, 90)


NOISE = torch.Generator().manual_seed(6)


def noise(images: Tensor) -> Tensor:
    return torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=NOISE)


def as_it_is(images: Tensor) -> Tensor:
    return images


def rate(probe: Tensor, gallery: Tensor, person: Tensor = PERSON) -> float:
    return float(rank_credit(person_scores(probe, gallery, person, PEOPLE), PERSON, 1).mean())


def fixed_rate(method: Method) -> float:
    return rate(NET.embed(method(KNOWN.images[~GALLERY])), NET.embed(KNOWN.images[GALLERY]))


def restored_rate(method: Method) -> float:
    clear = NET.embed(OTHERS.images)
    restorer = restored.train(method(OTHERS.images), OTHERS.images, clear, OTHERS.identity, NET, seed=0)
    return rate(NET.embed(restorer(method(KNOWN.images[~GALLERY]))), NET.embed(KNOWN.images[GALLERY]))


def finetuned_rate(method: Method) -> float:
    adapted = finetuned.train(method(OTHERS.images), NET.embed(OTHERS.images), OTHERS.identity, NET, seed=0)
    probe = finetuned.embed_all(adapted, method(KNOWN.images[~GALLERY]))
    gallery = finetuned.embed_all(adapted, method(KNOWN.images[GALLERY]))
    return rate(probe, torch.cat([NET.embed(KNOWN.images[GALLERY]), gallery]), PERSON.repeat(2))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored, "STEPS", 8)
    monkeypatch.setattr(unet, "WIDTHS", (8, 8, 16))
    monkeypatch.setattr(finetuned, "STEPS", 120)
    monkeypatch.setattr(finetuned, "LEARNING_RATE", 3e-3)  # one linear layer


def test_moved_tiles_hide_nobody_from_those_who_learn() -> None:
    assert isinstance(NET, Differentiable) and fixed_rate(as_it_is) > 0.97
    assert fixed_rate(tiles_moved) < 0.3
    assert restored_rate(tiles_moved) > 0.9
    assert finetuned_rate(tiles_moved) > 0.9


def test_shuffled_pixels_hide_nobody_from_the_restorer() -> None:
    assert fixed_rate(pixels_shuffled) < 0.3
    assert restored_rate(pixels_shuffled) > 0.9


def test_they_learn_to_leave_clear_faces_as_they_are() -> None:
    assert restored_rate(as_it_is) > 0.97
    assert finetuned_rate(as_it_is) > 0.97


@pytest.mark.parametrize("attack", [restored_rate, finetuned_rate])
def test_nothing_comes_out_of_noise_or_a_constant(attack: Callable[[Method], float]) -> None:
    assert attack(noise) <= MOST_BY_CHANCE
    assert abs(attack(constant) - CHANCE) < 1e-9


def test_training_leaves_the_embedder_as_it_was() -> None:
    before = [weight.clone() for weight in NET.module.parameters()]
    finetuned_rate(tiles_moved)
    assert all(torch.equal(a, b) for a, b in zip(before, NET.module.parameters(), strict=True))


def test_the_same_seed_restores_the_same_pictures() -> None:
    clear = NET.embed(OTHERS.images)
    once, again = (
        restored.train(tiles_moved(OTHERS.images), OTHERS.images, clear, OTHERS.identity, NET, seed=3)(
            tiles_moved(KNOWN.images[:5])
        )
        for _ in range(2)
    )
    assert torch.equal(once, again)


def test_larger_crops_are_restored_at_the_embedders_size() -> None:
    large = smooth_faces(20, 2, size=128).images
    clear, person = NET.embed(restored.to_side(large) * 255), torch.arange(40)
    restorer = restored.train(large, large, clear, person, NET, seed=0)
    assert restorer(large[:3]).shape == (3, 3, 112, 112)


def test_an_untrained_u_net_returns_nearly_the_blend_that_fits_best() -> None:
    picture, guess = (smooth_faces(2, 2, seed=seed).images.float() / 255 for seed in (0, 1))
    assert restored.share_of(picture, guess, 0.3 * picture + 0.7 * guess) == pytest.approx(0.7, abs=1e-4)
    assert restored.share_of(picture, guess, picture) == 0.05 and restored.share_of(picture, picture, guess) == 0.05
    for share in (0.05, 0.95):
        net = UNet(torch.Generator().manual_seed(0), share).requires_grad_(False)
        blend = share * guess + (1 - share) * picture
        assert float((net(picture, guess) - blend).abs().mean()) < 0.15


def test_other_pictures_of_the_same_person_are_no_wrong_answers() -> None:
    clear = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), dim=1)
    drawn = torch.tensor([0])
    alone = which_of_all(clear[drawn], drawn, clear, torch.tensor([0, 0, 1]))
    strangers = which_of_all(clear[drawn], drawn, clear, torch.tensor([0, 1, 2]))
    assert float(alone) < 1e-5 and abs(float(strangers) - torch.log(torch.tensor(2.0))) < 1e-5


def test_descent_is_adamw() -> None:
    start = torch.tensor([3.0, -2.0])
    ours, theirs = start.clone().requires_grad_(), nn.Parameter(start.clone())
    descend([ours], lambda _: ours.square().sum(), steps=20, learning_rate=0.1, weight_decay=0.1)
    optimizer = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    for _ in range(20):
        optimizer.zero_grad()
        theirs.square().sum().backward()
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(ours.detach(), theirs.detach())
