from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy.stats import binomtest  # type: ignore[import-untyped]
from scipy.stats import t as student
from torch import Tensor

from anonymizers import KSame
from benchmarks import coverage
from evaluators.metrics import statistics


def clustered(rate: float, people: int, pictures: int, correlation: float, generator: torch.Generator) -> Tensor:
    """Draw (people, pictures) of 0 and 1: each picture repeats its person's coin or throws its own."""
    coin = torch.rand(people, 1, generator=generator) < rate
    own = torch.rand(people, pictures, generator=generator) < rate
    # Two pictures of a person share the coin with probability `correlation`.
    repeats = torch.rand(people, pictures, generator=generator) < correlation**0.5
    return torch.where(repeats, coin, own).double()


def test_draws_are_the_same_for_the_same_arguments() -> None:
    draws = statistics.person_draws(30, 500, seed=1)
    assert draws.shape == (500, 30) and draws.dtype == torch.float64
    assert torch.equal(draws.sum(1), torch.full((500,), 30.0, dtype=torch.float64))
    assert torch.equal(draws, statistics.person_draws(30, 500, seed=1))
    assert not torch.equal(draws, statistics.person_draws(30, 500, seed=2))
    assert float(draws.var(0).mean()) == pytest.approx(29 / 30, rel=0.05)


def mean_replicates(value: torch.Tensor, person: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    people = draws.shape[1]
    sums = statistics.sums_by(value, person, people)
    return statistics.mean_of_sums(sums, torch.bincount(person, minlength=people), draws)


def test_replicates_are_means_over_the_drawn_peoples_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    value, person = torch.rand(60, generator=generator), torch.randint(0, 8, (60,), generator=generator)
    draws = statistics.person_draws(8, 20)
    found = mean_replicates(value, person, draws)
    for row, mean in zip(draws.long(), found.tolist(), strict=True):
        drawn = [float(value[n]) for n in range(60) for _ in range(int(row[person[n]]))]
        assert mean == pytest.approx(np.mean(drawn), abs=1e-12)


def test_a_replicate_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 3 people have pictures"):
        mean_replicates(torch.ones(2), torch.zeros(2, dtype=torch.int64), statistics.person_draws(3))


def test_percentiles_are_numpys() -> None:
    replicates = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    for level in (0.95, 0.8):
        expected = np.quantile(replicates.double().numpy(), [(1 - level) / 2, (1 + level) / 2])
        assert statistics.percentile_interval(replicates, level=level) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_is_that_of_the_papers_authors() -> None:
    pattern = [[1, 1, 0, 1], [0, 0], [1, 1, 1], [0, 1, 0, 0, 1], [1, 1]] * 2000
    value = torch.tensor([float(v) for person in pattern for v in person])
    person = torch.tensor([p for p, values in enumerate(pattern) for _ in values])
    # The authors' package cimat 0.1.2 on these errors; with so many people it makes no difference that it leaves out
    # the factor P / (P - 1), the prior and Student's t.
    assert statistics.wilson_interval(value, person) == pytest.approx((0.6189136, 0.6310471), abs=3e-6)


def test_few_people_differ_from_the_papers_authors_by_what_is_said() -> None:
    pattern = [[1, 1, 0, 1], [0, 0], [1, 1, 1], [0, 1, 0, 0, 1], [1, 1]]
    value = torch.tensor([float(v) for person in pattern for v in person])
    person = torch.tensor([p for p, values in enumerate(pattern) for _ in values])
    count, rate = 16, 10 / 16
    variance = sum((sum(v) - rate * len(v)) ** 2 for v in pattern) / count**2 * 5 / 4
    most = sum(len(v) ** 2 for v in pattern) / count
    effect = (3 * variance * count / (rate * (1 - rate)) + 0.5 * most) / 3.5  # three people have a miss, four a hit
    n, z = count / effect, student.ppf(0.975, 4)
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = z * (rate * (1 - rate) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    assert statistics.wilson_interval(value, person) == pytest.approx((middle - spread, middle + spread), abs=1e-12)


def test_wilson_is_the_usual_one_with_a_picture_per_person() -> None:
    for hits in (0, 1, 17, 49, 50):
        value = (torch.arange(50) < hits).double()
        for level in (0.95, 0.9):
            usual = binomtest(hits, 50).proportion_ci(level, method="wilson")
            found = statistics.wilson_interval(value, torch.arange(50), level)
            assert found == pytest.approx((usual.low, usual.high), abs=1e-12)


def test_pictures_that_repeat_their_person_count_once() -> None:
    value, person = (torch.arange(40) < 15).double(), torch.arange(40)
    repeated = statistics.wilson_interval(value.repeat_interleave(5), person.repeat_interleave(5))
    assert repeated == pytest.approx(statistics.wilson_bounds(15 / 40, 40, student.ppf(0.975, 39)), abs=1e-12)
    assert repeated[1] - repeated[0] > 2 * (np.diff(statistics.wilson_interval(value.repeat(5), torch.arange(200)))[0])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_wilson_has_a_width_where_all_are_alike(rate: float) -> None:
    person = torch.arange(100).repeat_interleave(5)
    low, high = statistics.wilson_interval(torch.full((500,), rate), person)
    usual = binomtest(round(100 * rate), 100).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((usual.low, usual.high), abs=1e-12)
    assert low <= rate <= high and high - low > 0.03


def test_wilson_of_one_person_says_next_to_nothing() -> None:
    low, high = statistics.wilson_interval(torch.tensor([0.0, 1.0, 1.0, 0.0]), torch.zeros(4, dtype=torch.int64))
    assert high - low > 0.8


def test_wilson_of_shared_credit_has_a_width() -> None:
    low, high = statistics.wilson_interval(torch.full((500,), 0.01), torch.arange(100).repeat_interleave(5))
    assert 0 < low < 0.01 < high < 0.03


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("correlation", [0.1, 0.5])
def test_wilson_covers(rate: float, correlation: float) -> None:
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(150).repeat_interleave(5)
    trials = 1500
    intervals = [
        statistics.wilson_interval(clustered(rate, 150, 5, correlation, generator).flatten(), person)
        for _ in range(trials)
    ]
    coverage = sum(low <= rate <= high for low, high in intervals) / trials
    assert 0.93 <= coverage <= 0.97


@pytest.mark.parametrize(
    ("people", "pictures", "correlation"), [(20, 2, 0.3), (20, 5, 0.7), (60, 10, 0.7), (158, 5, 0.3)]
)
@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5])
def test_wilson_covers_with_few_people_too(people: int, pictures: int, correlation: float, rate: float) -> None:
    covered = coverage.rate_coverage(rate, people, pictures, correlation, 1500)
    most = 0.97 if people * rate >= 10 else 0.99  # rates move in steps: with few people on the rarer side, too often
    assert 0.93 <= covered <= most


def test_with_few_people_the_percentiles_lie_further_out() -> None:
    replicates = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    for people in (20, 60, 1000):
        z = student.ppf(0.975, people - 1) * (people / (people - 1)) ** 0.5
        assert statistics.percentile_interval(replicates, people) == pytest.approx((-z, z), abs=0.03)


@pytest.mark.parametrize("people", [20, 60, 158])
def test_the_bootstrap_covers(people: int) -> None:
    assert 0.93 <= coverage.mean_coverage(people, 5, 0.5, 1500) <= 0.97


@pytest.mark.parametrize("three", [(0.02, 0.2, 0.6), (0.2, 0.35, 0.37), (0.3, 0.3, 0.3)])
def test_the_interval_of_the_strongest_attacker_covers(three: tuple[float, float, float]) -> None:
    assert 0.93 <= coverage.worst_coverage(three, 158, 5, 600) <= 0.985


@pytest.mark.parametrize(("kappa", "people"), [(0.05, 60), (0.5, 60), (0.9, 158)])
def test_the_interval_of_kappa_covers(kappa: float, people: int) -> None:
    assert 0.925 <= coverage.kappa_coverage(kappa, people, 5, 1000) <= 0.975


def test_where_nobody_shares_a_picture_people_are_the_only_unit() -> None:
    value, person = (torch.arange(40) % 3 == 0).double(), torch.arange(40) // 2
    own = torch.arange(40)
    assert statistics.second_units(person, own, 10) is None  # each picture is one person's
    assert statistics.second_units(person, torch.zeros(40, dtype=torch.int64), 10) is None  # one picture cannot vary
    for released in (own, person, torch.zeros_like(own)):
        assert statistics.wilson_interval(value, person, released=released) == statistics.wilson_interval(value, person)


def test_two_clusterings_are_added_and_the_joint_one_taken_off() -> None:
    generator = torch.Generator().manual_seed(5)
    person, released = torch.arange(200) // 5, torch.randint(0, 25, (200,), generator=generator)
    value = ((torch.arange(25) % 2)[released] + torch.rand(200, generator=generator) > 0.8).double()
    rate = float(value.mean())

    def variance(units: list[object]) -> float:
        sums = dict.fromkeys(units, 0.0)
        for unit, x in zip(units, value.tolist(), strict=True):
            sums[unit] += x - rate
        return sum(x * x for x in sums.values()) / 200**2 * len(sums) / (len(sums) - 1)

    pairs: list[object] = list(zip(person.tolist(), released.tolist(), strict=True))
    both = variance(person.tolist()) + variance(released.tolist()) - variance(pairs)
    assert both > 2 * variance(person.tolist())  # the picture decides, and several people get it
    low, high = statistics.wilson_interval(value, person, released=released)
    effect = both * 200 / (rate * (1 - rate))
    known = min(
        len({u for u, x in zip(released.tolist(), value.tolist(), strict=True) if x == side}) for side in (0, 1)
    )
    effect = (known * effect + 0.5 * effect) / (known + 0.5)
    expected = statistics.wilson_bounds(rate, 200 / effect, float(student.ppf(0.975, 24)))
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    draws = statistics.person_draws(40, 2000)
    second = statistics.second_units(person, released, 2000)
    plain = mean_replicates(value, person, draws)
    stretch = statistics.stretch_of(plain, lambda units: mean_replicates(value, units.index, units.draws), second)
    replicates = statistics.stretched(plain, stretch)
    assert float(replicates.var()) == pytest.approx(both, rel=0.15)
    assert torch.corrcoef(torch.stack((plain, replicates)))[0, 1] > 0.999  # still paired by people


def test_k_same_is_covered_by_people_and_pictures_and_not_by_people_alone() -> None:
    method = KSame(k=10, variant="select")
    kappa, rate = coverage.grouped_coverage(method, 0.3, 60, 3, 100)
    assert min(kappa, rate) >= 0.87
    kappa, rate = coverage.grouped_coverage(method, 0.3, 60, 3, 100, alone=True)
    assert max(kappa, rate) < 0.7


def test_replicates_are_quick() -> None:
    draws = statistics.person_draws(1000)
    person = torch.arange(1000)
    start = time.perf_counter()
    statistics.percentile_interval(mean_replicates(torch.rand(1000), person, draws))
    assert time.perf_counter() - start < 1
