"""Rehearsals: sets of the size and rounds of the release, every face once, in its order."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from anonymizers import Context, Faces, KSame
from evaluators.attackers.learning.rehearsal import rehearse
from tests.conftest import smooth_faces


def rounds_of(faces: Faces) -> list[int]:
    """Count the people of whom there is an r-th picture, for each r."""
    pictures = Counter(faces.identity.tolist())
    return [sum(count > r for count in pictures.values()) for r in range(max(pictures.values()))]


def uneven(people: int, seed: int) -> Faces:
    """Give person p one to three pictures."""
    every = smooth_faces(people, 3, size=16, seed=seed)
    return every.take([i for i in range(3 * people) if i % 3 <= (i // 3) % 3])


@pytest.mark.parametrize("released", [smooth_faces(12, 4, size=16), uneven(12, seed=3)])
def test_every_set_has_the_people_and_rounds_of_the_release(released: Faces) -> None:
    others, seen = uneven(70, seed=1), []

    def inverted(faces: Faces) -> Tensor:
        seen.append(faces)
        return 255 - faces.images

    assert torch.equal(rehearse(inverted, others, released), 255 - others.images)
    assert len(seen) == -(-len(others) // len(released)) > 1
    assert all(rounds_of(faces) == rounds_of(released) for faces in seen)
    own = [key for faces in seen[:-1] for key in faces.key]
    assert len(set(own)) == len(own)  # who fills the last set is of no other use
    # Within a round of a set nobody stands twice, though most have a picture in several sets.
    for faces in seen:
        first = [key.partition("/")[0] for key in faces.key[: rounds_of(released)[0]]]
        assert len(set(first)) == len(first)


def test_too_few_faces_for_a_set_fill_its_first_rounds() -> None:
    released, sizes = smooth_faces(10, 5, size=16), []

    def same(faces: Faces) -> Tensor:
        sizes.append(rounds_of(faces))
        return faces.images

    rehearse(same, smooth_faces(34, 1, size=16, seed=1), released)
    assert sizes == [[10, 10, 10, 4]]


def test_a_set_of_k_people_is_one_mean_and_is_rehearsed_as_one() -> None:
    # Ten people released at k = 10: each round has one group. Sixty other people at once would make six groups of near
    # ones in one round; in sets of ten, every rehearsed picture is the mean of ten whoever they are, as the release's.
    released, others, method = smooth_faces(10, 2, size=16), smooth_faces(60, 1, size=16, seed=1), KSame(k=10)
    context = Context(seed=4)

    def spread(pictures: Tensor) -> float:
        return float(pictures.float().std(0).mean())

    at_once = method(others, context)
    in_sets = rehearse(lambda faces: method(faces, context), others, released)
    groups = in_sets.flatten(1).unique(dim=0, return_inverse=True)[1]
    assert Counter(groups.tolist()) == dict.fromkeys(range(6), 10)
    means = torch.stack([others.images[groups == group].double().mean(0) for group in range(6)])
    assert (in_sets.double() - means[groups]).abs().max() <= 0.51
    assert spread(in_sets) < spread(at_once)
