"""Donors: their guarantee, their shape, and what is left of a person."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anonymizers import Context, Donors, Faces
from anonymizers.classical.averaging.bank import bank_of
from anonymizers.classical.regions import mask
from evaluators.demo.faces import people
from evaluators.demo.protocol import faces_of


@pytest.fixture(scope="module")
def background() -> Faces:
    return faces_of(people(31_000, 40, 3))


def others(faces: Faces) -> Faces:
    """Return the same codes on other pictures, with other landmarks and names."""
    noise = torch.randint(0, 256, faces.images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    signals = {**faces.signals, "landmarks68": 112 * torch.rand(len(faces), 68, 2)}
    return replace(faces, images=noise, signals=signals, key=tuple(f"other{i}" for i in range(len(faces))))


@pytest.mark.parametrize("shape", ["donors", "model", "moved"])
@pytest.mark.parametrize("tone", ["mean", "drawn"])
def test_nothing_but_the_code_reaches_the_picture(told: Faces, background: Faces, shape: str, tone: str) -> None:
    method, context = Donors(k=5, shape=shape, tone=tone), Context(background=background)
    assert torch.equal(method(told, context), method(others(told), context))
    assert method.needed() == ("coefficients", "pose")  # and no landmark of the face


def test_two_faces_with_one_code_get_one_picture_and_another_code_another(told: Faces, background: Faces) -> None:
    some = told.take([0, 1, 2])
    codes = {name: some.signals[name].clone() for name in ("coefficients", "pose")}
    for value in codes.values():
        value[1] = value[0]
    first, same, other = Donors(k=3)(replace(some, signals={**some.signals, **codes}), Context(background=background))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_every_picture_is_made_of_k_different_people(told: Faces, background: Faces) -> None:
    """Whatever happens to everybody else's pictures, the picture stays; when a donor's changes, it changes."""
    bank = bank_of(background)
    codes = bank.standardized(*(told.signals[name] for name in ("coefficients", "pose")))
    method, one = Donors(k=6, shape="donors"), told.take([0])  # the other shapes ask the whole background
    chosen = method._chosen(bank, codes)
    who = background.identity[chosen]
    assert all(row.unique().numel() == 6 for row in who)
    before = method(one, Context(background=background))
    used = torch.isin(torch.arange(len(background)), chosen[0])
    rest = background.images.clone()
    rest[~used] = 255 - rest[~used]
    assert torch.equal(before, method(one, Context(background=replace(background, images=rest))))
    for donor in chosen[0].tolist():
        images = background.images.clone()
        images[donor] = 255 - images[donor]
        assert not torch.equal(before, method(one, Context(background=replace(background, images=images))))


def test_donors_are_the_nearest_people_by_a_nested_loop(told: Faces, background: Faces) -> None:
    bank = bank_of(background)
    codes = bank.standardized(*(told.signals[name] for name in ("coefficients", "pose")))
    for row, code in zip(bank.nearest(codes, 4, 2.0), codes, strict=True):
        squares = (bank.codes - code).square()
        away = squares[:, :-3].mean(1) + 2.0 * squares[:, -3:].mean(1)
        best: dict[int, int] = {}
        for place in away.argsort().tolist():
            best.setdefault(int(background.identity[place]), place)
        assert row.tolist() == list(best.values())[:4]


def test_a_linear_world_is_modelled(background: Faces) -> None:
    """Landmarks that are linear in the code are found from the code, but for the penalty."""
    codes = torch.cat([background.signals[name] for name in ("coefficients", "pose")], 1)
    slopes = torch.randn(codes.shape[1], 136, generator=torch.Generator().manual_seed(0)) / codes.std(0)[:, None] / 8
    points = (56 + (codes - codes.mean(0)) @ slopes).view(-1, 68, 2)
    bank = bank_of(replace(background, signals={**background.signals, "landmarks68": points}))
    torch.testing.assert_close(bank.modelled(bank.codes)[:, :68], points, atol=0.5, rtol=0)


def test_the_moved_shape_has_the_expression_that_the_donors_lack(told: Faces, background: Faces) -> None:
    """A mouth that gapes more than any donor's gapes in the picture's shape too, as far as the model says."""
    bank = bank_of(background)
    wide = {name: told.signals[name][:1].clone() for name in ("coefficients", "pose")}
    wide["coefficients"][0, 7] = 10.0  # jaw
    codes = bank.standardized(wide["coefficients"], wide["pose"])
    lacking = codes - bank.codes[bank.nearest(codes, 10, 1.0)].mean(1)
    assert lacking[0, 7] > 1.0
    moved = (bank.modelled(lacking) - bank.mean)[0]
    assert moved[66, 1] - moved[62, 1] > 1.0  # the lower lip goes away from the upper one
    change = bank.looks(lacking)[0].mean(0).abs()
    across, down = bank.mean[[60, 62, 64, 66]].unbind(1)
    mouth = change[int(down.min()) : int(down.max()) + 1, int(across.min()) : int(across.max()) + 1]
    assert mouth.mean() > 2 * change.mean()  # what is seen between them changes more than the rest


def test_their_mean_is_nearer_to_the_face_where_it_is_the_mean_that_counts(told: Faces, background: Faces) -> None:
    bank = bank_of(background)
    codes = bank.standardized(*(told.signals[name] for name in ("coefficients", "pose")))
    each, mean = (
        (codes - bank.codes[Donors(k=8, match=match)._chosen(bank, codes)].mean(1)).square().mean()
        for match in ("each", "mean")
    )
    assert mean < 0.8 * each


def test_noise_on_the_code_is_drawn_for_every_face_anew(told: Faces, background: Faces) -> None:
    same = replace(told, signals={name: value[:1].expand_as(value) for name, value in told.signals.items()})
    plain, noisy = (Donors(k=5, noise=noise)(same, Context(background=background)) for noise in (0.0, 1.0))
    assert torch.equal(plain, plain[:1].expand_as(plain)) and not torch.equal(noisy, noisy[:1].expand_as(noisy))
    assert not torch.equal(noisy, Donors(k=5, noise=1.0)(same, Context(seed=1, background=background)))


def test_what_the_left_axes_do_not_say_changes_nothing(told: Faces, background: Faces) -> None:
    bank, context = bank_of(background), Context(background=background)
    spread = (bank.codes[:, :-3] @ bank.axes).std(0)
    assert torch.equal(spread, spread.sort(descending=True).values)
    torch.testing.assert_close(bank.axes.T @ bank.axes, torch.eye(len(bank.axes)), atol=1e-5, rtol=0)
    one, beyond = told.take([0]), bank.axes[:, 4:].sum(1)
    moved = one.signals["coefficients"] + beyond * bank.deviation[:-3]
    other = replace(one, signals={**one.signals, "coefficients": moved})
    assert not torch.equal(Donors(k=5)(one, context), Donors(k=5)(other, context))
    few = Donors(k=5, axes=4)
    away = few(one, context).float() - few(other, context).float()
    assert away.abs().max() <= 1  # but for rounding
    codes = bank.standardized(*(told.signals[name] for name in ("coefficients", "pose")))
    left = bank.simplified(codes, 4)
    assert torch.equal(left[:, -3:], codes[:, -3:])
    torch.testing.assert_close(left[:, :-3] @ bank.axes[:, 4:], torch.zeros(len(codes), 7), atol=1e-5, rtol=0)
    assert torch.equal(bank.simplified(codes, 11), codes)


def test_outside_the_ellipse_the_original_remains_and_the_border_is_soft(told: Faces, background: Faces) -> None:
    whole, face = (Donors(k=5, region=region)(told, Context(background=background)) for region in ("crop", "face"))
    inside = mask("face", 112, told.images.device)
    assert torch.equal(face[:, :, ~inside], told.images[:, :, ~inside])
    assert torch.equal(face[:, :, 40:80, 40:70], whole[:, :, 40:80, 40:70])
    between = inside & (face != whole).any(1).any(0) & (face != told.images).any(1).any(0)
    assert between.any()


def test_too_few_people_are_refused_with_the_numbers(told: Faces, background: Faces) -> None:
    with pytest.raises(ValueError, match=r"expected at least k = 50 people in the background, .*, got 40; choose a "):
        Donors(k=50)(told, Context(background=background))
    with pytest.raises(ValueError, match="got 0; choose a smaller k"):
        Donors(k=2)(told, Context())
    small = replace(background, images=background.images[:, :, ::2, ::2].contiguous())
    with pytest.raises(ValueError, match="expected a background of 112 px crops as the faces are, got 56"):
        Donors(k=2)(told, Context(background=small))


def test_background_faces_without_a_mesh_are_no_donors(told: Faces, background: Faces) -> None:
    signals = {name: value.clone() for name, value in background.signals.items()}
    signals["pose"][:60] = torch.nan
    bank = bank_of(replace(background, signals=signals))
    assert bank.people == 20 and len(bank.pictures) == 60
    assert bank.size == sum(value.nbytes for value in vars(bank).values()) > 60 * 3 * 112 * 112
