"""Verification against scikit-learn, nested loops, and Gaussians whose rates are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from evaluators.metrics import pairs
from evaluators.metrics.curves import curves_of


def scores(seed: int, ties: bool) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(1.2, 1, 300), rng.normal(0, 1, 4000)
    if ties:
        genuine, impostor = genuine.round(1), impostor.round(1)
    return torch.from_numpy(genuine), torch.from_numpy(impostor)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_tar_are_scikit_learns(ties: bool) -> None:
    genuine, impostor = scores(0, ties)
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    value = np.r_[genuine.numpy(), impostor.numpy()]
    assert pairs.auc(genuine, impostor) == pytest.approx(roc_auc_score(truth, value), abs=1e-12)
    false, true, _ = roc_curve(truth, value, drop_intermediate=False)
    for far in (0.1, 0.01):
        expected = true[false <= far + 1e-12].max()
        assert pairs.tar_at_far(genuine, impostor, far) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_the_roc_is_scikit_learns_and_is_read_where_a_nested_loop_reads_it(ties: bool) -> None:
    genuine, impostor = scores(4, ties)
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    false, true, _ = roc_curve(truth, np.r_[genuine.numpy(), impostor.numpy()], drop_intermediate=False)
    far, tar = pairs.roc(genuine, impostor)
    np.testing.assert_allclose(far.numpy(), false, atol=1e-12)
    np.testing.assert_allclose(tar.numpy(), true, atol=1e-12)
    wanted = torch.tensor([0.0, 1e-3, 0.01, 0.1, 0.5, 1.0], dtype=torch.float64)
    expected = [max(t for f, t in zip(false, true, strict=True) if f <= at + 1e-12) for at in wanted.tolist()]
    assert pairs.roc_at(genuine, impostor, wanted).tolist() == pytest.approx(expected, abs=1e-12)
    assert np.trapezoid(true, false) == pytest.approx(pairs.auc(genuine, impostor), abs=1e-12)


def test_the_curves_of_an_attacker_end_where_everybody_is_accepted() -> None:
    person = torch.arange(20).repeat_interleave(3)
    drawn = torch.randn(60, 20, generator=torch.Generator().manual_seed(0))
    drawn[torch.arange(60), person] += 1.5
    found = curves_of(drawn, person)
    assert found.cmc[0] == pytest.approx(float((drawn.argmax(1) == person).double().mean()))
    assert found.cmc[-1] == 1 and (np.diff(found.cmc) >= 0).all()
    assert found.far[0] * 60 * 19 >= 1 and found.far[-1] == 1  # a rate below one pair in all is not drawn
    assert found.tar[-1] == 1 and (np.diff(found.tar) >= 0).all()


@pytest.mark.parametrize("ties", [False, True])
def test_eer_lies_where_a_nested_loop_finds_the_crossing(ties: bool) -> None:
    genuine, impostor = scores(1, ties)
    points = []
    for threshold in [-np.inf, *np.unique(np.r_[genuine.numpy(), impostor.numpy()])]:
        points.append((float((genuine <= threshold).double().mean()), float((impostor > threshold).double().mean())))
    for (reject, accept), (next_reject, next_accept) in itertools.pairwise(points):
        if next_reject >= next_accept:
            t = (accept - reject) / ((next_reject - reject) + (accept - next_accept))
            expected = reject + t * (next_reject - reject)
            break
    assert pairs.eer(genuine, impostor) == pytest.approx(expected, abs=1e-12)


def test_gaussians_have_the_d_prime_and_eer_of_their_distance() -> None:
    rng = np.random.default_rng(2)
    genuine, impostor = (torch.from_numpy(rng.normal(m, 1, 200_000)) for m in (2.0, 0.0))
    assert pairs.d_prime(genuine, impostor) == pytest.approx(2, abs=0.02)
    assert pairs.eer(genuine, impostor) == pytest.approx(0.1587, abs=0.003)  # the normal distribution at -1


def test_a_rate_that_the_pairs_do_not_carry_is_none() -> None:
    genuine, impostor = scores(3, False)
    assert pairs.tar_at_far(genuine, impostor, 1e-3) is None  # 4,000 pairs: 4 above the threshold
    assert pairs.tar_at_far(genuine, impostor, 1e-2) is not None


def test_a_constant_score_separates_nothing() -> None:
    same = torch.zeros(50, dtype=torch.float64), torch.zeros(2000, dtype=torch.float64)
    assert pairs.auc(*same) == 0.5
    assert pairs.eer(*same) == 0.5
    assert pairs.tar_at_far(*same, 0.01) == 0
    assert pairs.d_prime(*same) is None


def test_the_matrix_splits_into_own_and_other() -> None:
    matrix = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    genuine, impostor = pairs.split_pairs(matrix, torch.tensor([2, 0]))
    assert genuine.tolist() == [3, 4]
    assert impostor.tolist() == [1, 2, 5, 6]


def test_linkability_compares_each_pair_once() -> None:
    generator = torch.Generator().manual_seed(0)
    embedding = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator), dim=1)
    person = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    genuine, impostor = pairs.within_pairs(embedding, person)
    loops: dict[bool, list[float]] = {True: [], False: []}
    for i in range(9):
        for j in range(i + 1, 9):
            loops[bool(person[i] == person[j])].append(float(embedding[i] @ embedding[j]))
    torch.testing.assert_close(genuine, torch.tensor(loops[True], dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(impostor, torch.tensor(loops[False], dtype=torch.float64), atol=1e-6, rtol=0)


def test_open_set_search_by_a_nested_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    people, each = 50, 6
    person = torch.arange(people).repeat_interleave(each)
    matrix = torch.randn(people * each, people, generator=generator)
    matrix[torch.arange(len(person)), person] += 3
    absent = torch.arange(people) % 2 == 0  # 150 strangers' pictures
    got = pairs.fnir_at_fpir(matrix, person, absent, 0.02)
    best = [max(float(s) for p, s in enumerate(row) if not absent[p]) for row in matrix]
    strangers = sorted((b for b, p in zip(best, person, strict=True) if absent[p]), reverse=True)
    threshold = strangers[3]  # three of 150 may be named
    enrolled = [i for i, p in enumerate(person) if not absent[p]]
    missed = [i for i in enrolled if not (matrix[i, person[i]] > threshold and float(matrix[i, person[i]]) >= best[i])]
    assert got == pytest.approx(len(missed) / len(enrolled), abs=1e-12)
    assert pairs.fnir_at_fpir(matrix, person, absent, 0.001) is None


@pytest.mark.parametrize("digits", [1, 6])  # many ties, hardly any
def test_fold_accuracies_are_those_of_a_nested_loop(digits: int) -> None:
    rng = np.random.default_rng(7)
    same = rng.random(200) < 0.5
    score = (rng.normal(0, 1, 200) + 1.5 * same).round(digits)
    fold = rng.permutation(np.arange(200) % 5)
    expected = []
    for held_out in range(5):
        training = [(s, g) for s, g, f in zip(score, same, fold, strict=True) if f != held_out]
        values = sorted({s for s, _ in training})
        thresholds = [values[0] - 0.5, *((a + b) / 2 for a, b in itertools.pairwise(values)), values[-1] + 0.5]
        rights = [sum((s > t) == g for s, g in training) for t in thresholds]
        best = [t for t, right in zip(thresholds, rights, strict=True) if right == max(rights)]
        threshold = best[(len(best) - 1) // 2]
        verdicts = [(s > threshold) == g for s, g, f in zip(score, same, fold, strict=True) if f == held_out]
        expected.append(sum(verdicts) / len(verdicts))
    found = pairs.fold_accuracies(torch.from_numpy(score), torch.from_numpy(same), torch.from_numpy(fold))
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert 0.6 < min(expected) < max(expected) < 1


def test_fold_accuracies_refuse_an_empty_fold() -> None:
    with pytest.raises(ValueError, match=r"\[2, 0, 1\] pairs"):
        pairs.fold_accuracies(torch.zeros(3), torch.tensor([True, False, True]), torch.tensor([0, 0, 2]))


def test_fewer_impostors_carry_a_rate_only_when_asked() -> None:
    genuine, impostor = torch.tensor([0.5, 3.0]).double(), torch.arange(3000.0).double() / 1000
    assert pairs.tar_at_far(genuine, impostor, 1e-3) is None
    assert pairs.tar_at_far(genuine, impostor, 1e-3, carry=3) == 0.5
