"""Heads against scikit-learn, and the penalty by people left out against refitting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from evaluators.readers.heads import CLIP, PENALTIES, Scale, fit_heads, scale_of


def world(
    faces: int = 240, width: int = 12, seed: int = 0, noise: float = 0.5
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, classes, coefficients and people: linear with noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(faces, width, generator=generator)
    y = x @ torch.randn(width, 3, generator=generator) + noise * torch.randn(faces, 3, generator=generator)
    return x, y.argmax(1), y, torch.arange(faces) // 4


def standardized(x: Tensor) -> np.ndarray:
    return scale_of(x, [x.shape[1]])(x).double().numpy()


@pytest.mark.parametrize("width", [12, 400])  # fewer and more features than faces
def test_coefficients_are_scikit_learns_ridge(width: int) -> None:
    x, _, y, person = world(width=width)
    head = fit_heads(x, {"judge": y}, person, [width])["judge"]
    theirs = Ridge(alpha=head.penalty * len(x)).fit(standardized(x), y.numpy())
    np.testing.assert_allclose(head(x).numpy(), theirs.predict(standardized(x)), atol=2e-3)


def test_classes_are_scikit_learns_logistic_regression() -> None:
    x, label, _, person = world(noise=3.0)
    head = fit_heads(x, {"judge": label}, person, [12])["judge"]
    theirs = LogisticRegression(C=4 / (head.penalty * len(x)), max_iter=2000, tol=1e-8).fit(
        standardized(x), label.numpy()
    )
    probability = head(x).softmax(1).numpy()
    np.testing.assert_allclose(probability, theirs.predict_proba(standardized(x)), atol=5e-3)


def test_the_penalty_is_the_one_that_people_left_out_ask_for() -> None:
    x, _, y, person = world(faces=120, width=40, seed=3)
    head = fit_heads(x, {"judge": y}, person, [40])["judge"]
    z = torch.from_numpy(standardized(x)).double()
    unit = float((z - z.mean(0)).square().sum() / len(z) / 40)
    errors = []
    for penalty in PENALTIES:
        total = 0.0
        for one in person.unique():
            out = (person == one).numpy()
            # The mean of features and targets is that of all faces, as in the closed form.
            a, b = (z - z.mean(0)).numpy(), (y - y.mean(0)).double().numpy()
            weight = np.linalg.solve(a[~out].T @ a[~out] + penalty * unit * len(z) * np.eye(40), a[~out].T @ b[~out])
            total += float(((b[out] - a[out] @ weight) ** 2).sum())
        errors.append(total)
    assert head.penalty == pytest.approx(PENALTIES[int(np.argmin(errors))] * unit, rel=1e-3)


def test_a_judge_among_others_gets_the_head_that_he_gets_alone() -> None:
    x, label, y, person = world()
    together = fit_heads(x, {"one": label, "two": y}, person, [12])
    for name, target in (("one", label), ("two", y)):
        torch.testing.assert_close(fit_heads(x, {name: target}, person, [12])[name](x), together[name](x))


def test_features_are_clipped_and_those_that_hardly_vary_have_a_floor() -> None:
    scale = Scale(torch.zeros(2), torch.ones(2))
    assert scale(torch.tensor([[100.0, -100.0]])).tolist() == [[CLIP, -CLIP]]
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(1))
    x[:, 0] *= 1e-4
    scale = scale_of(x, [5])
    assert scale.deviation[0] == pytest.approx(0.1 * float(x.std(0, correction=0).median()), rel=1e-5)


def test_of_constant_features_the_head_says_what_is_most_frequent() -> None:
    x, person = torch.ones(30, 4), torch.arange(30)
    label = torch.tensor([0] * 20 + [1] * 10)
    y = torch.randn(30, 2, generator=torch.Generator().manual_seed(2))
    heads = fit_heads(x, {"one": label, "two": y}, person, [4])
    assert (heads["one"](x).argmax(1) == 0).all()
    torch.testing.assert_close(heads["two"](x)[0], y.mean(0))
