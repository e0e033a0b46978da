"""What is learned once of a method, where it is known what can be learned of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer, Blur, Context, Faces, Pixelate
from anonymizers.ranges import Choice, Integer, Real, ranged
from evaluators.attackers.learning import family
from evaluators.attackers.learning.family import Family, NotLearnedError, condition_of, learn, unpacked
from evaluators.attackers.learning.inverse import prior_of
from evaluators.metrics.identification import person_scores, rank_credit
from tests.conftest import smooth_faces
from tests.helpers.planted_pixels import MOST_BY_CHANCE, PEOPLE, PICTURES, Linear

OTHERS = smooth_faces(250, 2, seed=1)
KNOWN = smooth_faces(PEOPLE, PICTURES, seed=2)
GALLERY = torch.arange(PEOPLE * PICTURES) % PICTURES < PICTURES // 2
PERSON = torch.arange(PEOPLE).repeat_interleave(PICTURES // 2)


NET = Linear()


@dataclass(frozen=True)
class Negative(Anonymizer):
    """Go a share of the way to the negative: gray in the middle, and past it everybody looks like somebody else."""

    method: ClassVar[str] = "negative"
    share: float = ranged(Real(0.0, 1.0))

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        images = faces.images.float()
        return (images + self.share * (255 - 2 * images)).round().to(torch.uint8)


@dataclass(frozen=True)
class Noise(Anonymizer):
    """Release noise alone."""

    method: ClassVar[str] = "noises"
    grains: int = ranged(Integer(1, 4))

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        generator = torch.Generator().manual_seed(context.seed)
        return torch.randint(0, 256, faces.images.shape, dtype=torch.uint8, generator=generator)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "WIDTHS", (8, 16))
        patch.setattr(family, "STEPS", 60)
        patch.setitem(ANONYMIZERS, "negative", Negative)
        patch.setitem(ANONYMIZERS, "noises", Noise)
        yield


def learned(*members: Anonymizer, seconds: float = 1e4) -> Family:
    return learn(
        members,
        OTHERS,
        NET.embed(OTHERS.images),
        NET,
        context=Context(seed=1),
        prior=prior_of(OTHERS.images),
        publish=None,
        seconds=seconds,
    )


@pytest.fixture(scope="module")
def negatives(small: None) -> Family:
    return learned(*(Negative(share=share) for share in (0.7, 0.8, 0.9, 1.0)))


def rate(found: Family | None, member: Anonymizer) -> float:
    """Return the rank-1 with the clear gallery, after a family or by the embedder alone."""
    released = member(KNOWN.take(torch.nonzero(~GALLERY)[:, 0]), Context(seed=0))
    probe = NET.embed(released) if found is None else found.embed(member, released, released)
    return float(rank_credit(person_scores(probe, NET.embed(KNOWN.images[GALLERY]), PERSON, PEOPLE), PERSON, 1).mean())


def test_a_member_that_was_never_trained_on_is_read_too(negatives: Family) -> None:
    member = Negative(share=0.86)
    assert repr(member) not in negatives.facts["members"]
    assert rate(None, member) < 0.2 < 0.9 < rate(negatives, member)
    assert negatives.facts["named"] > negatives.facts["unprepared"]


def test_a_family_comes_back_from_its_bytes(negatives: Family) -> None:
    again = unpacked(negatives.packed(), NET, torch.device("cpu"))
    member = Negative(share=0.75)
    released = member(KNOWN, Context())
    assert torch.equal(again.embed(member, released, released), negatives.embed(member, released, released))
    assert again.facts == negatives.facts and again.method == "negative"


def test_the_embedder_that_it_starts_from_stays_as_it_is(negatives: Family) -> None:
    assert torch.equal(NET.embed(KNOWN.images), Linear().embed(KNOWN.images))
    assert not torch.equal(negatives.embedder.module[2].weight, NET.module[2].weight)  # type: ignore[index,union-attr]


def test_nothing_is_read_in_noise() -> None:
    try:
        found = learned(Noise(grains=1), Noise(grains=4))
    except NotLearnedError as reason:
        assert "never saw" in str(reason)  # by luck alone the embedder named more of ten faces
    else:
        assert rate(found, Noise(grains=2)) <= MOST_BY_CHANCE


def test_a_family_without_its_time_is_refused() -> None:
    with pytest.raises(NotLearnedError, match="0 s are too few for it"):
        learned(Negative(share=0.9), seconds=0.01)


def test_where_a_method_says_what_it_mixes_its_inverse_is_the_first_guess() -> None:
    faces = OTHERS.take(range(60))
    for member, undone in ((Blur(kernel=15), True), (Negative(share=0.9), False)):
        pool = family.pool_of(
            member,
            faces,
            torch.Generator(),
            context=Context(),
            prior=prior_of(faces.images),
            publish=None,
            among=NET.embed(faces.images),
        )
        clear = faces.images[pool.place]
        before, after = ((clear.float() - some.float()).abs().mean() for some in (pool.released, pool.guess))
        assert (after < before) if undone else torch.equal(pool.guess, pool.released)


@dataclass(frozen=True)
class Several(Anonymizer):
    """Have a hyperparameter of each kind."""

    method: ClassVar[str] = "several"
    kind: str = ranged(Choice(("a", "b", "c")), default="b")
    size: int = ranged(Integer(2, 32, log=True), default=8)
    share: float = ranged(Real(-1.0, 1.0), default=0.5)
    only: int = ranged(Integer(3, 3), default=3)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        return faces.images


def test_a_condition_says_where_each_hyperparameter_lies() -> None:
    assert condition_of(Several()).tolist() == pytest.approx([0, 1, 0, 0.5, 0.75, 0])
    assert condition_of(replace(Several(), kind="c", size=32, share=-1.0)).tolist() == [0, 0, 1, 1, 0, 0]
    assert condition_of(Pixelate(block=4)).shape == condition_of(Pixelate(block=28, region="face")).shape
