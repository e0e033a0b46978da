"""Attackers on planted embeddings, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from evaluators.attackers.embeddings import mapped, retrained
from evaluators.metrics.identification import person_scores, rank_credit

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


def test_one_picture_of_everybody_teaches_nobody() -> None:
    gallery, _, _ = planted(0.5)
    with pytest.raises(ValueError, match=r"expected more gallery pictures than people, got 40 of 40; give people"):
        retrained.enroll(gallery[::3], torch.arange(PEOPLE), PEOPLE, seed=0)


def test_the_same_seed_trains_the_same_attacker() -> None:
    gallery, probe, person = planted(1.0)
    first, second = (retrained.classify(retrained.enroll(gallery, person, PEOPLE, seed=7), probe) for _ in range(2))
    assert torch.equal(first, second)


def others(count: int, seed: int) -> torch.Tensor:
    """Give each of other people a direction and one picture."""
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, DIMENSION, generator=generator), dim=-1)


def mapped_rank1(anonymize: Callable[[torch.Tensor], torch.Tensor], noise: float = 0.5) -> tuple[float, float]:
    """Return the rates of the fixed and of the mapping attacker against the clear gallery."""
    gallery, probe, person = planted(noise)
    learnt = mapped.train(anonymize(others(600, 1)), others(600, 1), seed=0)
    rates = [
        float(rank_credit(person_scores(seen, gallery, person, PEOPLE), person, 1).mean())
        for seen in (anonymize(probe), learnt(anonymize(probe)))
    ]
    return rates[0], rates[1]


def test_the_mapping_attacker_undoes_a_rotation_that_the_fixed_one_cannot_read() -> None:
    rotation, _ = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=torch.Generator().manual_seed(2)))
    fixed, learnt = mapped_rank1(lambda embedding: embedding @ rotation)
    assert fixed < 0.15
    assert learnt > 0.9


def test_the_mapping_attacker_leaves_clear_embeddings_readable() -> None:
    fixed, learnt = mapped_rank1(lambda embedding: embedding)
    assert fixed > 0.97
    assert learnt > fixed - 0.02


def test_nothing_is_mapped_out_of_noise_or_a_constant() -> None:
    generator = torch.Generator().manual_seed(3)
    _, noise = mapped_rank1(lambda embedding: functional.normalize(torch.randn(embedding.shape, generator=generator)))
    assert noise <= 10 / 120
    _, constant = mapped_rank1(lambda embedding: torch.full_like(embedding, DIMENSION**-0.5))
    assert abs(constant - 1 / PEOPLE) < 1e-9


def test_a_gallery_of_many_batches_is_learnt_too(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, probe, person = planted(0.5)
    monkeypatch.setattr(retrained, "BATCH", 64)
    assert rank1(gallery, probe, person) > 0.97
