"""The low-pass attacker on pictures of which the colors of blocks alone are left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.pictures import lowpass
from evaluators.metrics.identification import rank_credit
from tests.conftest import smooth_faces
from tests.helpers.planted_pixels import CHANCE, MOST_BY_CHANCE, PEOPLE, PICTURES

KNOWN, OTHERS = smooth_faces(PEOPLE, PICTURES, seed=2), smooth_faces(200, 2, seed=1)
GALLERY = torch.arange(PEOPLE * PICTURES) % PICTURES < PICTURES // 2
PERSON = torch.arange(PEOPLE).repeat_interleave(PICTURES // 2)


def colors_alone(images: Tensor, seed: int) -> Tensor:
    """Keep the colors of blocks of 16 px, mixed and faded, under details of nobody's."""
    generator = torch.Generator().manual_seed(seed)
    low = functional.interpolate(functional.avg_pool2d(images.float(), 16), scale_factor=16, mode="nearest")
    mixed = 0.3 * low[:, [2, 0, 1]] + 90
    return (mixed + 40 * torch.randn(images.shape, generator=generator)).round().clamp(0, 255).to(torch.uint8)


def noise(images: Tensor, seed: int) -> Tensor:
    return torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def rate(method: Any, others: Tensor = OTHERS.images) -> float:
    clear = SimpleNamespace(
        gallery=KNOWN.take(torch.nonzero(GALLERY)[:, 0]),
        gallery_person=PERSON,
        people=PEOPLE,
        attacker=SimpleNamespace(images=others),
    )
    evidence: Any = SimpleNamespace(
        clear=clear,
        probe=method(KNOWN.images[~GALLERY], 0),
        gallery=method(KNOWN.images[GALLERY], 1),
        attacker=method(others, 2),
        treated=lambda attacker, treat: treat(),
    )
    return float(rank_credit(lowpass.identify(evidence), PERSON, 1).mean())


def test_colors_that_a_generator_lets_through_name_people() -> None:
    assert rate(colors_alone) > 0.8


def test_nothing_is_read_in_noise_or_a_constant() -> None:
    assert rate(noise) <= MOST_BY_CHANCE
    assert rate(lambda images, seed: torch.full_like(images, 90)) == pytest.approx(CHANCE)


def test_who_has_no_other_faces_to_learn_from_names_nobody() -> None:
    assert rate(colors_alone, OTHERS.images[:1]) == pytest.approx(CHANCE)
