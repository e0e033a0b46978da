"""Shares that are kept: paired, the least of several, and intervals where hardly an answer changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks import coverage
from evaluators.measuring.tally import Tally
from evaluators.metrics import statistics
from evaluators.metrics.kept import Measured, changed_agreement, share_kept, smallest_share


@pytest.fixture
def tally() -> Tally:
    person = torch.arange(60).repeat_interleave(5)
    return Tally(person, statistics.person_draws(60, 500), ())


def read(tally: Tally, wrong: int, seed: int = 0) -> tuple[Tensor, Measured]:
    """Read 300 faces with so many wrong answers."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(300) % 7
    answer = truth.clone()
    at = torch.randperm(300, generator=generator)[:wrong]
    answer[at] = (answer[at] + 1) % 7
    return answer, tally.agreed(truth, answer, 7)


def test_the_clear_faces_keep_all_of_themselves_by_definition(tally: Tally) -> None:
    _, clear = read(tally, 60)
    share = share_kept([(clear, clear)], tally.interval, tally.wilson)
    assert share.value == 1 and share.interval == (1, 1)


def test_no_changed_answer_in_sixty_people_is_not_none_at_all(tally: Tally) -> None:
    _, clear = read(tally, 60)
    _, again = read(tally, 60)
    share = smallest_share([share_kept([(again, clear)], tally.interval, tally.wilson)], tally.interval)
    # The rule of three for people: up to about 6 % of the answers of 60 people may change.
    assert share.value == 1 and 0.9 < share.interval[0] < 0.97 and share.interval[1] == 1


def test_the_agreement_that_changed_is_that_of_lost_and_gained_answers() -> None:
    before, now = torch.zeros(100), torch.zeros(100)
    before[:80], now[10:85] = 1, 1  # ten lost, five gained
    person = torch.arange(100)
    low, high = changed_agreement(now, before, lambda value: statistics.wilson_interval(value, person))
    lost, gained = (statistics.wilson_bounds(rate, 100, 1.959964) for rate in (0.1, 0.05))
    below = ((0.05 - gained[0]) ** 2 + (lost[1] - 0.1) ** 2) ** 0.5
    above = ((gained[1] - 0.05) ** 2 + (0.1 - lost[0]) ** 2) ** 0.5
    assert (low, high) == pytest.approx((0.75 - below, 0.75 + above), abs=1e-6)


def test_the_least_of_equal_shares_reaches_up_to_each_of_them(tally: Tally) -> None:
    _, clear = read(tally, 30)
    shares = [share_kept([(read(tally, 120, seed)[1], clear)], tally.interval, tally.wilson) for seed in range(6)]
    least = smallest_share(shares, tally.interval)
    own = min(shares, key=lambda share: share.value)
    assert least.value == own.value and least.interval[1] == own.interval[1] and least.interval[0] < own.interval[0]


def test_kappa_near_one_is_as_uncertain_as_its_agreement(tally: Tally) -> None:
    _, found = read(tally, 1)
    low, high = tally.wilson(found.right)
    assert found.value == pytest.approx(1 - 1 / 300 / (1 - found.chance))
    assert found.interval[0] <= (low - found.chance) / (1 - found.chance)
    assert found.interval[1] >= (high - found.chance) / (1 - found.chance)
    constant = tally.agreed(torch.arange(300) % 7, torch.zeros(300, dtype=torch.int64), 7)
    assert constant.value == 0 and constant.interval == pytest.approx((0, 0))  # an answer to nothing, exactly so


@pytest.mark.parametrize("kept", [(0.8, 0.8), (0.99, 0.99), (1.0, 1.0)])
def test_the_interval_of_what_is_kept_covers(kept: tuple[float, float]) -> None:
    assert 0.92 <= coverage.kept_coverage(kept, 60, 5, 200) <= 1
