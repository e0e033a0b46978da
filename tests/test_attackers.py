"""Attackers on planted embeddings, where the truth is known."""

from __future__ import annotations

import torch
from torch.nn import functional

from evaluators.attackers import retrained
from evaluators.identity import rank_credit

PEOPLE, PICTURES, DIMENSION = 40, 6, 64


def planted(noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Give each person a direction, and each picture some noise; half gallery, half probe."""
    generator = torch.Generator().manual_seed(seed)
    center = torch.randn(PEOPLE, 1, DIMENSION, generator=generator)
    drawn = functional.normalize(center + noise * torch.randn(PEOPLE, PICTURES, DIMENSION, generator=generator), dim=-1)
    person = torch.arange(PEOPLE).repeat_interleave(PICTURES // 2)
    return drawn[:, :3].flatten(0, 1), drawn[:, 3:].flatten(0, 1), person


def rank1(gallery: torch.Tensor, probe: torch.Tensor, person: torch.Tensor) -> float:
    classifier = retrained.enroll(gallery, person, PEOPLE, seed=0)
    return float(rank_credit(retrained.classify(classifier, probe), person, 1).mean())


def test_the_retrained_attacker_learns_what_can_be_learnt() -> None:
    gallery, probe, person = planted(0.5)
    assert rank1(gallery, probe, person) > 0.97


def test_it_learns_through_an_offset_that_hides_people_from_a_clear_gallery() -> None:
    # Anonymization moves all embeddings alike and shrinks what is left of the person.
    gallery, probe, person = planted(0.5)
    common = torch.zeros(DIMENSION)
    common[0] = 10
    moved = [functional.normalize(common + 0.5 * x, dim=-1) for x in (gallery, probe)]
    assert rank1(moved[0], moved[1], person) > 0.95


def test_on_noise_it_stays_at_chance() -> None:
    generator = torch.Generator().manual_seed(1)
    gallery, probe = (torch.randn(PEOPLE * 3, DIMENSION, generator=generator) for _ in range(2))
    person = torch.arange(PEOPLE).repeat_interleave(3)
    # 120 probes at 1/40: more than 10 hits have a probability below 0.001.
    assert rank1(gallery, probe, person) <= 10 / 120


def test_equal_pictures_get_exactly_chance() -> None:
    same = torch.full((PEOPLE * 3, DIMENSION), 0.125)
    person = torch.arange(PEOPLE).repeat_interleave(3)
    classifier = retrained.enroll(same, person, PEOPLE, seed=0)
    scores = retrained.classify(classifier, same)
    assert torch.isfinite(scores).all()
    assert abs(float(rank_credit(scores, person, 1).mean()) - 1 / PEOPLE) < 1e-9


def test_the_same_seed_trains_the_same_attacker() -> None:
    gallery, probe, person = planted(1.0)
    first, second = (retrained.classify(retrained.enroll(gallery, person, PEOPLE, seed=7), probe) for _ in range(2))
    assert torch.equal(first, second)
