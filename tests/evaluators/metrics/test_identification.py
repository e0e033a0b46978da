from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import top_k_accuracy_score
from torch import Tensor

from evaluators.metrics.identification import cmc, fused, permuted_rank1, person_scores, rank_credit


def unit(count: int, dim: int, seed: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def expected_credit(scores: list[float], person: int, k: int) -> float:
    """Fill the k places one score at a time; those who tie for the last places share them."""
    places = k
    for score in sorted(set(scores), reverse=True):
        tied = [p for p, s in enumerate(scores) if s == score]
        if person in tied:
            return min(places, len(tied)) / len(tied) if places > 0 else 0.0
        places -= len(tied)
    raise AssertionError


def test_scores_are_the_best_over_a_persons_pictures() -> None:
    probe, gallery = unit(7, 16, 0), unit(11, 16, 1)
    person = torch.tensor([3, 0, 1, 2, 3, 0, 0, 1, 2, 3, 3])
    found = person_scores(probe, gallery, person, 4)
    for n in range(7):
        for p in range(4):
            best = max(float(probe[n] @ gallery[m]) for m in range(11) if person[m] == p)
            assert float(found[n, p]) == pytest.approx(best, abs=1e-6)


def test_equal_pictures_tie_wherever_they_stand() -> None:
    probe, gallery = unit(5, 512, 0), unit(1, 512, 1).expand(301, -1).contiguous()
    scores = person_scores(probe, gallery, torch.arange(301), 301)
    assert torch.equal(scores, scores[:, :1].expand(-1, 301))


def test_a_person_without_a_gallery_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="each of the 4 enrolled people, got none of 2"):
        person_scores(unit(2, 4, 0), unit(2, 4, 1), torch.tensor([0, 2]), 4)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_credit_is_that_of_a_nested_loop_under_ties(k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    scores = torch.randint(0, 4, (200, 8), generator=generator).float()
    person = torch.randint(0, 8, (200,), generator=generator)
    expected = [expected_credit(row, p, k) for row, p in zip(scores.tolist(), person.tolist(), strict=True)]
    assert rank_credit(scores, person, k).tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("k", [1, 3])
def test_credit_is_sklearns_without_ties(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(300, 10, generator=generator)
    person = torch.randint(0, 10, (300,), generator=generator)
    found = rank_credit(scores, person, k)
    assert found.dtype == torch.float64
    assert float(found.mean()) == top_k_accuracy_score(person.numpy(), scores.numpy(), k=k, labels=range(10))


def test_a_constant_picture_gets_exactly_chance() -> None:
    scores = torch.full((20, 7), 0.3)
    person = torch.arange(20) % 7
    assert torch.equal(rank_credit(scores, person, 1), torch.full((20,), 1 / 7, dtype=torch.float64))
    assert torch.equal(rank_credit(scores, person, 5), torch.full((20,), 5 / 7, dtype=torch.float64))
    assert torch.equal(rank_credit(scores, person, 9), torch.ones(20, dtype=torch.float64))


def test_what_is_no_rank_is_refused() -> None:
    scores = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="at least one place, got k = 0"):
        rank_credit(scores, torch.tensor([0, 1]), 0)
    scores[1, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN for 1 probes"):
        rank_credit(scores, torch.tensor([0, 1]), 1)


def drawn(count: int, people: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw scores with ties, of people with unequally many probes."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 6, (count, people), generator=generator).float()
    scores[:, 0] += 1  # somebody whom the attacker likes to name
    return scores, (torch.rand(count, generator=generator).square() * people).long()


def test_the_cumulative_match_characteristic_is_a_nested_loops() -> None:
    scores, person = drawn(40, 7)
    curve = cmc(scores, person)
    for k in range(1, 8):
        loop = sum(expected_credit(scores[n].tolist(), int(person[n]), k) for n in range(40)) / 40
        assert float(curve[k - 1]) == pytest.approx(loop, abs=1e-9)
    assert float(curve[-1]) == 1 and bool((curve.diff() >= -1e-12).all())


def test_chance_of_one_attacker_is_what_all_permutations_give() -> None:
    scores, person = drawn(60, 5)
    named = torch.stack([rank_credit(scores, torch.full((60,), p), 1) for p in range(5)], 1).mean(0)
    expected = float(named @ (torch.bincount(person, minlength=5) / 60).double())
    assert permuted_rank1([scores], person) == pytest.approx(expected, abs=0.015)
    assert abs(expected - 1 / 5) > 0.02  # he names one person often, who has many probes


def test_the_best_of_several_guesses_is_more_than_one() -> None:
    generator = torch.Generator().manual_seed(2)
    person = torch.arange(600) % 60
    guesses = [torch.rand(600, 60, generator=generator) for _ in range(4)]
    largest = torch.distributions.Binomial(600, torch.tensor(1 / 60)).sample((20_000, 4)).amax(1).mean() / 600
    assert permuted_rank1(guesses, person) == pytest.approx(float(largest), abs=0.0015)
    assert permuted_rank1(guesses[:1], person) == pytest.approx(1 / 60, abs=0.0015)


def test_who_gives_everybody_the_same_gets_exactly_one_of_so_many() -> None:
    same = torch.zeros(60, 5)
    assert permuted_rank1([same, same], torch.arange(60) % 5) == pytest.approx(1 / 5, abs=1e-12)


@pytest.mark.parametrize("pictures", [1, 5])
def test_fused_scores_of_known_d_prime(pictures: int) -> None:
    """The sum over n pictures whose scores lie d deviations apart is worth one picture of d √n."""
    people, distance, repeats = 60, 1.0, 60
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(people).repeat_interleave(pictures)
    rates = []
    for _ in range(repeats):
        scores = torch.randn(len(person), people, generator=generator)
        scores[torch.arange(len(person)), person] += distance
        rates.append(float(rank_credit(fused(scores, person), torch.arange(people), 1).mean()))
    apart = distance * pictures**0.5
    expected, _ = quad(lambda x: norm.pdf(x - apart) * norm.cdf(x) ** (people - 1), -8, 12)
    assert np.mean(rates) == pytest.approx(expected, abs=0.02)


def test_fused_is_the_sum_of_standardized_rows() -> None:
    scores = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
    person = torch.arange(12) % 4  # nobody shows person 4
    expected = np.zeros((5, 5))
    for n in range(12):
        row = scores[n].double().numpy()
        expected[int(person[n])] += (row - row.mean()) / row.std()
    np.testing.assert_allclose(fused(scores, person).numpy(), expected, atol=1e-6)
    same = torch.full((12, 5), 0.3)
    assert torch.equal(fused(same, person), torch.zeros(5, 5, dtype=torch.float64))
