"""Ridge regression from pictures: scikit-learn's, and what each face's own absence would change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Independent

from evaluators.attackers.learning import ridge

COUNT, PIXELS, TARGETS = 30, 50, 7


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (COUNT, PIXELS), dtype=torch.uint8, generator=generator)
    mixing = torch.randn(PIXELS, TARGETS, generator=generator)
    return pictures, pictures.float() / 255 @ mixing + 0.3 * torch.randn(COUNT, TARGETS, generator=generator)


def alpha_of(fitted: ridge.Ridge, pictures: torch.Tensor) -> float:
    x = pictures.double().numpy() / 255
    x = x - x.mean(0)
    return fitted.penalty * float(np.linalg.eigvalsh(x @ x.T).clip(0).mean())


def test_it_predicts_what_scikit_learn_does() -> None:
    pictures, target = drawn()
    fitted, _ = ridge.fit(pictures, target)
    fresh, _ = drawn(1)
    expected = Independent(alpha=alpha_of(fitted, pictures)).fit(pictures.numpy() / 255, target.double().numpy())
    np.testing.assert_allclose(fitted(fresh).numpy(), expected.predict(fresh.numpy() / 255), atol=1e-3)


def test_what_it_says_of_a_picture_that_it_has_not_seen() -> None:
    pictures, target = drawn()
    fitted, unseen = ridge.fit(pictures, target)
    alpha = alpha_of(fitted, pictures)
    for i in range(0, COUNT, 7):
        others = [j for j in range(COUNT) if j != i]
        one = Independent(alpha=alpha).fit(pictures[others].numpy() / 255, target[others].double().numpy())
        np.testing.assert_allclose(unseen[i].numpy(), one.predict(pictures[[i]].numpy() / 255)[0], atol=1e-3)


def test_the_penalty_has_the_least_error_on_unseen_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, target = drawn()
    chosen, _ = ridge.fit(pictures, target)
    errors = {}
    for penalty in ridge.PENALTIES:
        monkeypatch.setattr(ridge, "PENALTIES", (penalty,))
        errors[penalty] = float((ridge.fit(pictures, target)[1] - target).square().mean())
    assert chosen.penalty == min(errors, key=lambda penalty: errors[penalty])


def test_equal_pictures_say_what_the_others_targets_are_on_average() -> None:
    _, target = drawn()
    same = torch.full((COUNT, PIXELS), 7, dtype=torch.uint8)
    fitted, unseen = ridge.fit(same, target)
    torch.testing.assert_close(fitted(same[:2]), target.mean(0).expand(2, -1))
    torch.testing.assert_close(unseen[3], target[[j for j in range(COUNT) if j != 3]].mean(0))


def test_products_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, _ = drawn()
    whole = ridge.products(pictures, pictures[:4])
    monkeypatch.setattr(ridge, "CHUNK", 8)
    torch.testing.assert_close(ridge.products(pictures, pictures[:4]), whole, atol=1e-5, rtol=0)
    x = pictures.double() / 255
    torch.testing.assert_close(whole, x @ x[:4].T, atol=1e-4, rtol=0)
