"""Agreement, sensitivity and rank correlations against other people's implementations and worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, norm, spearmanr
from statsmodels.stats import inter_rater

from orchestrator.study.agreement import (
    counted,
    fleiss_kappa,
    jackknife,
    kendall,
    sensitivity,
    sensitivity_error,
    spearman,
)


def test_fleiss_kappa_of_the_worked_example() -> None:
    # Fleiss 1971 by the table that textbooks work through: ten items, fourteen raters, five answers.
    counts = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)
    assert fleiss_kappa(np.vstack([counts, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]])) == fleiss_kappa(counts)


@pytest.mark.parametrize("seed", range(5))
def test_fleiss_kappa_is_that_of_statsmodels(seed: int) -> None:
    answers = np.random.default_rng(seed).integers(0, 4, size=(20, 6))
    answers[:, :seed] = answers[:, :1]
    counts, _ = inter_rater.aggregate_raters(answers)
    assert fleiss_kappa(counts) == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-12)


def test_fleiss_kappa_that_cannot_be_measured() -> None:
    assert fleiss_kappa(np.array([[1, 0], [0, 1]])) is None  # one answer to each item
    assert fleiss_kappa(np.array([[3, 0], [4, 0]])) is None  # everybody always says the same
    assert fleiss_kappa(np.zeros((0, 2))) is None


def test_counted() -> None:
    counts = counted(["a", "b", "a", "a"], ["x", "y", "y", "x"], ("x", "y", "z"))
    assert counts.tolist() == [[2, 1, 0], [0, 1, 0]]


def test_sensitivity_is_the_distance_of_the_two_normals() -> None:
    assert sensitivity(5, 10, 5, 10) == 0
    assert sensitivity(84_134, 100_000, 15_866, 100_000) == pytest.approx(2, abs=1e-3)
    assert sensitivity(10, 10, 0, 10) == pytest.approx(2 * norm.ppf(10.5 / 11))
    both = sensitivity(np.array([9.0, 1.0]), 10, np.array([1.0, 9.0]), 10)
    assert both[0] == -both[1] > 0


def test_the_error_of_the_sensitivity_is_how_far_it_scatters() -> None:
    rng = np.random.default_rng(0)
    drawn = sensitivity(rng.binomial(200, 0.8, 4000), 200, rng.binomial(200, 0.3, 4000), 200)
    assert sensitivity_error(160, 200, 60, 200) == pytest.approx(drawn.std(), rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlations_are_those_of_scipy_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 5, size=(3, 9)).astype(float), rng.integers(0, 6, size=9).astype(float)
    for row, tau, rho in zip(one, kendall(one, other), spearman(one, other), strict=True):
        assert tau == pytest.approx(kendalltau(row, other).statistic, abs=1e-12)
        assert rho == pytest.approx(spearmanr(row, other).statistic, abs=1e-12)
    assert np.isnan(kendall(np.ones(9), other)) and np.isnan(spearman(one[0], np.ones(9)))


def test_the_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = np.array([0.1, 0.4, 0.5, 0.9])
    low, high = jackknife(lambda kept: float(values[kept].mean()), 4) or (None, None)
    width = 3.182446 * values.std(ddof=1) / 2
    assert low == pytest.approx(0.475 - width, abs=1e-6) and high == pytest.approx(0.475 + width, abs=1e-6)
    assert jackknife(lambda kept: 1.0, 2) is None
    assert jackknife(lambda kept: None if kept.sum() < 4 else 1.0, 4) is None
