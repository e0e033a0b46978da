"""k-Same: its guarantee, and its groups against a nested loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anonymizers import Context, Faces, KSame
from anonymizers.classical.averaging.k_same import squared_distances
from anonymizers.classical.regions import mask
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


@pytest.mark.parametrize("region", ["crop", "face"])
def test_who_shares_a_picture_is_told_from_it(region: str) -> None:
    faces, anonymizer = uneven(), KSame(k=5, region=region)
    shared = anonymizer.shared(anonymizer(faces, Context(seed=1)))
    group = anonymizer.groups(faces, Context(seed=1))
    assert torch.equal(shared[:, None] == shared, group[:, None] == group)


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


def test_select_groups_by_what_it_is_told_and_never_by_labels() -> None:
    faces = smooth_faces(6, 1, size=16)
    labelled = Faces(faces.images, faces.identity, faces.expression, faces.key)
    assert KSame(k=2)(labelled, Context()).shape == faces.images.shape
    with pytest.raises(ValueError, match="k_same: expected faces with the signals expression"):
        KSame(k=2, variant="select")(labelled, Context())


def test_a_face_of_which_nobody_was_told_the_expression_is_black() -> None:
    faces = smooth_faces(6, 1, size=16, expressions=1)
    told = faces.signals["expression"].clone()
    told[0] = 255
    released = KSame(k=2, variant="select")(replace(faces, signals={"expression": told}), Context())
    assert not released[0].any() and released[1:].flatten(1).any(1).all()


def test_another_seed_groups_otherwise() -> None:
    faces = smooth_faces(30, 1, size=16)
    assert not torch.equal(KSame(k=3)(faces, Context(seed=0)), KSame(k=3)(faces, Context(seed=1)))


@pytest.mark.parametrize("k", [2, 5, 10])
def test_the_guarantee_holds_where_no_expression_has_k_people(k: int) -> None:
    faces = smooth_faces(12, 3, size=16, expressions=9)
    group = KSame(k=k, variant="select").groups(faces, Context(seed=2))
    assert sorted(group.unique().tolist()) == list(range(int(group.max()) + 1))
    for number in group.unique():
        assert faces.identity[group == number].unique().numel() >= k


def test_a_rare_picture_joins_a_group_of_its_expression() -> None:
    # Twelve people show 0 and then 1, but the last two of them show 0 again: too few for a group in their round.
    faces = smooth_faces(12, 2, size=16)
    expression = torch.tensor([0, 1] * 10 + [0, 0] * 2)
    labelled = replace(faces, signals={"expression": expression.to(torch.uint8)[:, None]})
    group = KSame(k=5, variant="select").groups(labelled, Context())
    for number in group.unique():
        assert expression[group == number].unique().numel() == 1


def test_a_person_with_many_pictures_weighs_no_more_than_another() -> None:
    faces = smooth_faces(2, 10, size=16).take([0, *range(10, 20)])
    released = KSame(k=2)(faces, Context())
    mean = (faces.images[0].double() + faces.images[1:].double().mean(0)) / 2
    assert (released.double() - mean).abs().max() <= 0.51


def test_distances_are_exact() -> None:
    pixels = torch.randint(0, 256, (9, 3000), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    integers = pixels.long()
    assert torch.equal(squared_distances(pixels).long(), (integers[:, None] - integers[None, :]).square().sum(2))


def test_outside_the_face_the_original_remains_and_does_not_count() -> None:
    faces = smooth_faces(12, 1, size=112)
    inside = mask("face", 112, faces.images.device)
    context, anonymizer = Context(seed=4), KSame(k=3, region="face")
    released = anonymizer(faces, context)
    assert torch.equal(released[..., ~inside], faces.images[..., ~inside])
    noise = torch.randint(0, 256, faces.images.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    other = Faces(torch.where(inside, faces.images, noise), faces.identity, faces.expression, faces.key)
    assert torch.equal(anonymizer.groups(faces, context), anonymizer.groups(other, context))


def test_the_same_seed_gives_the_same_bits() -> None:
    faces = uneven()
    first, again = (KSame(k=5, variant="select")(faces, Context(seed=9, batch_size=b)) for b in (128, 3))
    assert torch.equal(first, again)
