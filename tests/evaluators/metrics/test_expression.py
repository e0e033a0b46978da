from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]
from scipy.special import log_softmax  # type: ignore[import-untyped]
from scipy.stats import entropy  # type: ignore[import-untyped]
from sklearn.metrics import cohen_kappa_score, f1_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from evaluators.metrics import expression
from evaluators.metrics.statistics import person_draws

CLASSES = 6


def answers(count: int = 400, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Reference, answer, person; class 5 is nobody's."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randint(0, 5, (count,), generator=generator)
    guess = torch.randint(0, 4, (count,), generator=generator)
    answer = torch.where(torch.rand(count, generator=generator) < 0.5, reference, guess)
    return reference, answer, torch.randint(0, 20, (count,), generator=generator)


def table(reference: Tensor, answer: Tensor) -> Tensor:
    return expression.confusion_by_person(reference, answer, torch.zeros_like(reference), 1, CLASSES)[0]


def probabilities(seed: int, scale: float = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(50, CLASSES, generator=generator)).softmax(1)


def test_kappa_agreement_and_f1_are_sklearns() -> None:
    reference, answer, _ = answers()
    found = table(reference, answer)
    assert float(expression.kappa(found)) == pytest.approx(cohen_kappa_score(reference, answer), abs=1e-12)
    assert float(expression.macro_f1(found)) == pytest.approx(f1_score(reference, answer, average="macro"), abs=1e-12)
    assert float(expression.agreement(found)) == pytest.approx(float((reference == answer).double().mean()))
    shares = [torch.bincount(x, minlength=CLASSES) / len(x) for x in (reference, answer)]
    assert float(expression.chance_agreement(found)) == pytest.approx(float((shares[0] * shares[1]).sum()), abs=1e-6)


def test_a_constant_answer_shows_nothing() -> None:
    reference, _, _ = answers()
    constant = torch.full_like(reference, 2)
    assert float(expression.kappa(table(reference, constant))) == pytest.approx(0, abs=1e-12)
    assert float(expression.kappa(table(constant, constant))) == 0
    assert float(expression.kappa(table(reference, reference))) == 1


def test_kappa_replicates_are_kappas_of_the_drawn_people() -> None:
    reference, answer, person = answers()
    draws = person_draws(20, 30, seed=3)
    counts = expression.confusion_by_person(reference, answer, person, 20, CLASSES)
    assert counts.shape == (20, CLASSES, CLASSES) and counts.sum() == len(reference)
    found = expression.kappa_replicates(counts, draws)
    for row, value in zip(draws.long(), found.tolist(), strict=True):
        again = torch.repeat_interleave(torch.arange(len(person)), row[person])
        assert value == pytest.approx(cohen_kappa_score(reference[again], answer[again]), abs=1e-12)


def test_divergences_are_scipys() -> None:
    p, q = probabilities(0), probabilities(1)
    assert expression.kl(p, q).numpy() == pytest.approx(
        entropy(p.double().numpy(), q.double().numpy(), axis=1), abs=1e-6
    )
    theirs = jensenshannon(p.double().numpy(), q.double().numpy(), base=2, axis=1) ** 2
    assert expression.js(p, q).numpy() == pytest.approx(theirs, abs=1e-6)


def test_divergences_are_finite_at_their_ends() -> None:
    p, q = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    assert expression.kl(p, q).tolist() == pytest.approx([-math.log(torch.finfo(torch.float32).tiny), 0])
    assert expression.js(p, q).tolist() == pytest.approx([1, 0], abs=1e-15)
    same = probabilities(2, scale=40)
    assert expression.kl(same, same).abs().max() == 0
    assert expression.js(same, same).abs().max() < 1e-12


def test_similarity_is_a_cosine() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, 5, generator=generator), torch.randn(9, 5, generator=generator)
    expected = [np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    assert expression.similarity(a, b).tolist() == pytest.approx(expected, abs=1e-6)
    assert expression.similarity(a, 3 * a).tolist() == pytest.approx([1.0] * 9)
    assert float(expression.similarity(a[:1], torch.zeros(1, 5))) == 0


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_temperature_is_that_of_a_minimizer(true: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5000, CLASSES, generator=generator)
    label = torch.multinomial((logits / true).softmax(1), 1, generator=generator)[:, 0]
    z, at = logits.double().numpy(), (np.arange(5000), label.numpy())
    best = minimize_scalar(
        lambda t: -log_softmax(z / t, axis=1)[at].mean(), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}
    )
    found = expression.fit_temperature(logits, label)
    assert found == pytest.approx(best.x, rel=1e-4)
    assert found == pytest.approx(true, rel=0.1)


def test_temperature_stays_in_its_range() -> None:
    logits = torch.eye(CLASSES)
    assert expression.fit_temperature(logits, torch.arange(CLASSES)) == pytest.approx(0.05)
    assert expression.fit_temperature(logits, (torch.arange(CLASSES) + 1) % CLASSES) == pytest.approx(20)


def test_calibration_error_is_torchmetrics() -> None:
    p = probabilities(0)
    label = torch.randint(0, CLASSES, (50,), generator=torch.Generator().manual_seed(1))
    expected = float(multiclass_calibration_error(p, label, CLASSES, n_bins=15, norm="l1"))
    assert expression.ece(p, label) == pytest.approx(expected, abs=1e-6)
    assert expression.ece(torch.eye(CLASSES), torch.arange(CLASSES)) == 0


def test_nothing_is_not_measured() -> None:
    empty = torch.zeros(3, CLASSES, CLASSES)
    for measure in (
        expression.kappa,
        expression.agreement,
        expression.chance_agreement,
        lambda c: expression.macro_f1(c[0]),
    ):
        with pytest.raises(ValueError, match="at least one answer"):
            measure(empty)
    nobody = torch.zeros(0, CLASSES), torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="expected labelled faces"):
        expression.fit_temperature(*nobody)
    with pytest.raises(ValueError, match="expected labelled faces"):
        expression.ece(*nobody)
