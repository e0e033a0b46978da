"""The adapted reader's head against scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from evaluators.reader import fit


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_readers_head_equals_scikit_learn() -> None:
    features, answer = draw(400, 6), torch.arange(400) % 3
    features[:, 0] += answer
    head = fit(features, answer, 3, ridge=1e-2)
    x = ((features - head.mean) / head.scale).numpy()
    theirs = LogisticRegression(C=1 / (400 * 1e-2), tol=1e-9, max_iter=1000).fit(x, answer.numpy())
    assert np.abs(theirs.predict_proba(x) - head(features).softmax(1).numpy()).max() < 2e-3
