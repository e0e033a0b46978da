"""k-Same: its guarantee, and its groups against a nested loop."""

from __future__ import annotations

import pytest
import torch

from anonymizers import Context, Faces, KSame
from tests.conftest import smooth_faces


def uneven() -> Faces:
    """Give person p of 23 one to four pictures, and expressions so rare that some cannot fill a group."""
    all_faces = smooth_faces(23, 4, size=24)
    kept = [i for i in range(92) if i % 4 <= (i // 4) % 4]
    return all_faces.take(kept)


@pytest.mark.parametrize("variant", ["pixel", "select"])
@pytest.mark.parametrize("k", [2, 5, 10, 23])
def test_each_released_face_is_the_mean_of_k_people_and_shared_by_k(k: int, variant: str) -> None:
    faces = uneven()
    anonymizer = KSame(k=k, variant=variant)
    released = anonymizer(faces, Context(seed=1))
    group = anonymizer.groups(faces, Context(seed=1))
    assert len(group) == len(faces)
    for number in range(int(group.max()) + 1):
        members = group == number
        assert faces.identity[members].unique().numel() >= k
        people = [
            faces.images[members & (faces.identity == p)].double().mean(0) for p in faces.identity[members].unique()
        ]
        mean = torch.stack(people).mean(0)
        assert (released[members].double() - mean).abs().max() <= 0.51
    # And counted from what is released alone: equal pictures belong to at least k people.
    _, shared_by = released.flatten(1).unique(dim=0, return_inverse=True)
    for picture in shared_by.unique():
        assert faces.identity[shared_by == picture].unique().numel() >= k


@pytest.mark.parametrize("k", [2, 3, 7])
def test_groups_equal_a_nested_loop(k: int) -> None:
    faces = smooth_faces(20, 1, size=16)
    pixels = faces.images.flatten(1).double()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(5)).tolist()
    left, groups = set(range(20)), []
    for start in order:
        if start not in left:
            continue
        by_distance = sorted(left, key=lambda i: (float((pixels[i] - pixels[start]).square().sum()), i != start))
        members = by_distance[:k] if len(left) >= 2 * k else by_distance
        left -= set(members)
        groups.append(frozenset(members))
    ours = KSame(k=k).groups(faces, Context(seed=5))
    assert {frozenset(torch.nonzero(ours == g)[:, 0].tolist()) for g in ours.unique()} == set(groups)


def test_select_keeps_expressions_apart_where_it_can() -> None:
    faces = smooth_faces(40, 1, size=16)
    group = KSame(k=5, variant="select").groups(faces, Context())
    for number in group.unique():
        assert faces.expression[group == number].unique().numel() == 1


def test_too_few_people_are_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="at least k = 50 people, got 12"):
        KSame(k=50)(smooth_faces(12, 3, size=16), Context())


def test_select_refuses_faces_without_expression() -> None:
    faces = smooth_faces(6, 1, size=16)
    unlabelled = Faces(faces.images, faces.identity, torch.full((6,), -1), faces.key)
    with pytest.raises(ValueError, match="expression of every face"):
        KSame(k=2, variant="select")(unlabelled, Context())


def test_another_seed_groups_otherwise() -> None:
    faces = smooth_faces(30, 1, size=16)
    assert not torch.equal(KSame(k=3)(faces, Context(seed=0)), KSame(k=3)(faces, Context(seed=1)))
