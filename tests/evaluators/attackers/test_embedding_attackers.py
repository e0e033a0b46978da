"""Attackers on planted embeddings, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from evaluators.attackers.embeddings import fixed, flipped, mapped, parrot, retrained
from evaluators.attackers.embeddings.parrot import mean_is_better, templates
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


def seen(probe: torch.Tensor, gallery: torch.Tensor, person: torch.Tensor, others: torch.Tensor) -> Any:
    """Give attackers embeddings alone; `others` two pictures each of other people."""
    clear = SimpleNamespace(
        gallery_embedding=gallery,
        gallery_person=person,
        people=PEOPLE,
        attacker=SimpleNamespace(identity=torch.arange(len(others) // 2).repeat_interleave(2)),
    )
    return SimpleNamespace(
        clear=clear, probe_embedding=probe, gallery_embedding=gallery, attacker_embedding=others, seed=0
    )


def test_a_face_that_is_nobody_less_than_its_own_person_is_read_backwards() -> None:
    gallery, probe, person = planted(0.5)
    evidence = seen(-probe, gallery, person, others(40, 1))
    rates = [float(rank_credit(a.identify(evidence), person, 1).mean()) for a in (fixed, flipped)]
    assert rates[0] < 0.05 and rates[1] > 0.97
    straight = seen(probe, gallery, person, others(40, 1))
    assert float(rank_credit(flipped.identify(straight), person, 1).mean()) < 0.05


def test_the_parrot_takes_the_mean_where_other_people_are_found_better_by_it() -> None:
    generator = torch.Generator().manual_seed(4)
    center = torch.randn(60, 1, DIMENSION, generator=generator)
    drawn = functional.normalize(center + 3 * torch.randn(60, 8, DIMENSION, generator=generator), dim=-1)
    person = torch.arange(60).repeat_interleave(8)
    assert mean_is_better(drawn.flatten(0, 1), person)
    # Two looks of a person that have nothing in common: the mean is neither.
    looks = functional.normalize(torch.randn(60, 2, 1, DIMENSION, generator=generator), dim=-1)
    looks = torch.cat([looks, looks], 2) + 0.08 * torch.randn(60, 2, 2, DIMENSION, generator=generator)
    crowd = functional.normalize(torch.randn(4_000, DIMENSION, generator=generator), dim=-1)
    both = torch.cat([functional.normalize(looks, dim=-1).flatten(0, 2), crowd])
    whose = torch.cat([torch.arange(60).repeat_interleave(4), torch.arange(60, 4_060)])
    assert not mean_is_better(both, whose)
    assert not mean_is_better(crowd, torch.arange(4_000))  # nobody has two pictures


def test_a_mean_does_not_depend_on_the_order_and_is_zero_for_nobody() -> None:
    gallery, _, person = planted(1.0)
    order = torch.randperm(len(gallery), generator=torch.Generator().manual_seed(0))
    first, second = templates(gallery, person, PEOPLE + 1), templates(gallery[order], person[order], PEOPLE + 1)
    assert torch.equal(first, second) and not first[PEOPLE].any()
    assert torch.allclose(first[:PEOPLE].norm(dim=1), torch.ones(PEOPLE))


def test_the_parrot_searches_by_the_mean_then() -> None:
    gallery, probe, person = planted(2.5)
    crowd, _, whose = planted(3.0, seed=9)
    evidence = seen(probe, gallery, person, crowd)
    evidence.clear.attacker.identity = whose
    assert mean_is_better(crowd, whose)
    assert torch.equal(parrot.identify(evidence), probe @ templates(gallery, person, PEOPLE).T)
    evidence.clear.attacker.identity = torch.arange(len(crowd))  # nobody twice: nothing says that the mean is better
    assert torch.equal(parrot.identify(evidence), person_scores(probe, gallery, person, PEOPLE))
