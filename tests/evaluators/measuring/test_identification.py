"""Attackers together on planted embeddings: strangers of an open-set search are in no classifier."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import Faces, Identity
from evaluators.attackers import Clear, Evidence
from evaluators.attackers.embeddings import retrained
from evaluators.attackers.learning.inverse import prior_of
from evaluators.measuring import identification
from evaluators.measuring.tally import Tally
from evaluators.metrics import pairs, statistics
from evaluators.metrics.identification import rank_credit
from evaluators.networks.roles import Nets, TeacherOutput

PEOPLE, GALLERY, PROBES, DIMENSION = 60, 3, 9, 48


class Blind:
    name, classes = "blind", ("a",)

    def __call__(self, images: Tensor) -> Tensor:
        raise AssertionError("all embeddings are planted")


def faces(count: int, first: int) -> Faces:
    person = torch.arange(PEOPLE).repeat_interleave(count)
    images = torch.zeros(len(person), 3, 8, 8, dtype=torch.uint8)
    return Faces(images, person, torch.full_like(person, -1), tuple(f"{p}/{first}/{i}" for i, p in enumerate(person)))


def planted(noise: float, seed: int = 0) -> Evidence:
    """Give each person a direction, and each picture some noise."""
    generator = torch.Generator().manual_seed(seed)
    center = torch.randn(PEOPLE, 1, DIMENSION, generator=generator)
    shape = PEOPLE, GALLERY + PROBES, DIMENSION
    drawn = functional.normalize(center + noise * torch.randn(shape, generator=generator), dim=-1)
    gallery, probe = drawn[:, :GALLERY].flatten(0, 1), drawn[:, GALLERY:].flatten(0, 1)
    enrolled, searched = faces(GALLERY, 0), faces(PROBES, 1)
    clear = Clear(
        probe=searched,
        gallery=enrolled,
        attacker=enrolled,
        background=enrolled,
        probe_person=searched.identity,
        gallery_person=enrolled.identity,
        people=PEOPLE,
        probe_embedding=probe,
        gallery_embedding=gallery,
        probe_reading=TeacherOutput(torch.zeros(len(probe), 1), torch.zeros(len(probe), 1)),
        attacker_embedding=gallery,
        attacker_answer=torch.zeros(len(gallery), dtype=torch.int64),
        prior=prior_of(torch.randint(0, 255, (4, 3, 8, 8), dtype=torch.uint8, generator=generator)),
    )
    evidence = Evidence(Identity(), clear, Nets(Blind(), Blind()), seed=0, batch_size=8)  # type: ignore[arg-type]
    evidence.__dict__ |= {"gallery_embedding": gallery, "probe_embedding": probe}
    return evidence


def missed(evidence: Evidence, absent: Tensor) -> float:
    """Return how often the retrained attacker misses an enrolled person in an open-set search."""
    tally = Tally(evidence.clear.probe_person, statistics.person_draws(PEOPLE, 50), ())
    met: dict[str, Tensor] = {}
    identification.meet(evidence, ("retrained",), met, tally)
    identification.measure(evidence, met, tally, absent=absent)
    value = tally.values["fnir_at_fpir_1e2"]
    assert value is not None
    return value


@pytest.fixture(scope="module")
def absent() -> Tensor:
    return pairs.absent_people(PEOPLE, 0)


def test_who_is_left_out_is_in_no_classifier(absent: Tensor) -> None:
    evidence = planted(1.0)
    enrolled = evidence.without(absent)
    rows = ~absent[evidence.clear.gallery_person]
    assert enrolled.clear.people == 48 and len(enrolled.clear.gallery) == int(rows.sum()) == len(enrolled.gallery)
    number = torch.full((PEOPLE,), -1)
    number[~absent] = torch.arange(48)
    assert torch.equal(enrolled.clear.gallery_person, number[evidence.clear.gallery_person[rows]])
    anew = retrained.enroll(evidence.gallery_embedding[rows], enrolled.clear.gallery_person, 48, seed=0)
    expected = torch.full((PEOPLE * PROBES, PEOPLE), -torch.inf)
    expected[:, ~absent] = retrained.classify(anew, evidence.probe_embedding)
    person = evidence.clear.probe_person
    assert missed(evidence, absent) == pairs.fnir_at_fpir(expected, person, absent, pairs.FPIR)
    assert evidence.clear.people == PEOPLE and len(evidence.gallery_embedding) == PEOPLE * GALLERY  # as before


def test_nothing_that_is_known_of_strangers_moves_an_open_set_search(absent: Tensor) -> None:
    evidence, other = planted(1.0), planted(1.0)
    person, strangers = evidence.clear.probe_person, absent[evidence.clear.gallery_person]
    drawn = torch.randn(int(strangers.sum()), DIMENSION, generator=torch.Generator().manual_seed(3))
    other.gallery_embedding[strangers] = functional.normalize(drawn, dim=1)
    assert missed(evidence, absent) == missed(other, absent)
    knowing = [pairs.fnir_at_fpir(retrained.identify(one), person, absent, pairs.FPIR) for one in (evidence, other)]
    assert knowing[0] != knowing[1]


def test_in_noise_hardly_anybody_is_named(absent: Tensor) -> None:
    evidence = planted(1.0)
    noise = torch.randn(PEOPLE * PROBES, DIMENSION, generator=torch.Generator().manual_seed(9))
    evidence.__dict__["probe_embedding"] = functional.normalize(noise, dim=1)
    assert missed(evidence, absent) > 0.98  # one in a hundred is named at all, and one in 48 of these rightly


class Other:
    """Embeds by looking it up: what a second embedder says of probes and gallery."""

    name = "other"

    def __init__(self, probe: Tensor, gallery: Tensor) -> None:
        self.said = {len(probe): probe, len(gallery): gallery}

    def __call__(self, images: Tensor) -> Tensor:
        return self.said[len(images)]


def rate(evidence: Evidence, second: Evidence | Other | None) -> float:
    """Return the retrained attacker's rate with a second embedder."""
    if isinstance(second, Evidence):
        second = Other(second.probe_embedding, second.gallery_embedding)
    evidence.nets = replace(evidence.nets, second=second)
    evidence._treated.clear()
    return float(rank_credit(retrained.identify(evidence), evidence.clear.probe_person, 1).mean())


def test_two_embedders_say_more_than_each_of_them(absent: Tensor) -> None:
    # Of the same pictures each network sees what the other does not.
    evidence, other = planted(1.6, seed=1), planted(1.6, seed=2)
    alone = [rate(one, None) for one in (evidence, other)]
    both = rate(evidence, other)
    assert both > max(alone) + 0.2
    # What sees nothing is believed as much, so that a second embedder is for whoever chooses it.
    generator = torch.Generator().manual_seed(5)
    noise = [functional.normalize(torch.randn(n, DIMENSION, generator=generator), dim=1) for n in (540, 180)]
    assert 0.15 < rate(evidence, Other(*noise)) < alone[0]
    constant = Other(torch.full((540, DIMENSION), 0.1), torch.full((180, DIMENSION), 0.1))
    assert rate(evidence, constant) == pytest.approx(alone[0])
    # Strangers are in neither network's classifier.
    evidence.nets = replace(evidence.nets, second=Other(other.probe_embedding, other.gallery_embedding))
    evidence._treated.clear()
    first = missed(evidence, absent)
    evidence._treated.clear()
    other.gallery_embedding[absent[evidence.clear.gallery_person]] = noise[1][:36]
    assert missed(evidence, absent) == first


def test_two_embedders_at_chance_stay_there() -> None:
    generator = torch.Generator().manual_seed(6)
    evidence = planted(1.0)
    for name, count in (("probe_embedding", 540), ("gallery_embedding", 180)):
        drawn = torch.randn(count, DIMENSION, generator=generator)
        evidence.__dict__[name] = functional.normalize(drawn, dim=1)
    noise = [functional.normalize(torch.randn(n, DIMENSION, generator=generator), dim=1) for n in (540, 180)]
    assert rate(evidence, Other(*noise)) <= 20 / 540  # more than 20 hits of 9 expected: a probability below 0.001


def test_too_few_strangers_carry_no_open_set_search(absent: Tensor) -> None:
    assert pairs.carries_open_set(torch.arange(PEOPLE).repeat_interleave(PROBES), absent)
    assert not pairs.carries_open_set(torch.arange(PEOPLE).repeat_interleave(8), absent)
