"""The adapted reader's head against scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from anonymizers import Blur, Context, Faces
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import expression
from evaluators.metrics.statistics import person_draws
from evaluators.readers.linear import fit
from evaluators.zoo import load_nets


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_readers_head_equals_scikit_learn() -> None:
    features, answer = draw(400, 6), torch.arange(400) % 3
    features[:, 0] += answer
    head = fit(features, answer, 3, ridge=1e-2)
    x = ((features - head.mean) / head.scale).numpy()
    theirs = LogisticRegression(C=1 / (400 * 1e-2), tol=1e-9, max_iter=1000).fit(x, answer.numpy())
    assert np.abs(theirs.predict_proba(x) - head(features).softmax(1).numpy()).max() < 2e-3


def test_a_head_on_correlated_features_is_scikit_learns_too() -> None:
    features = draw(500, 5) @ draw(5, 40, seed=1) + 0.01 * draw(500, 40, seed=2)
    answer = (features[:, 0] > 0).long() + (features[:, 1] > 0).long()
    head = fit(features, answer, 3, ridge=1e-2)
    x = ((features - head.mean) / head.scale).numpy()
    theirs = LogisticRegression(C=1 / (500 * 1e-2), tol=1e-9, max_iter=10_000).fit(x, answer.numpy())
    assert np.abs(theirs.predict_proba(x) - head(features).softmax(1).numpy()).max() < 2e-3


def test_what_the_reader_learns_of_his_people_tells_nothing_of_the_evaluated() -> None:
    """Labels that depend on the person alone: readable on other pictures of his own people, chance on the probes."""
    protocol = demo_protocol(evaluated=60, attacker=60, pictures=8)
    teacher = load_nets(None).teacher
    chance = np.random.default_rng(0)

    def seen(faces: Faces) -> tuple[torch.Tensor, torch.Tensor]:
        label = dict(zip(faces.identity.unique().tolist(), chance.integers(0, 7, faces.people).tolist(), strict=True))
        return teacher(Blur(kernel=21)(faces, Context())).features, torch.tensor(
            [label[p] for p in faces.identity.tolist()]
        )

    features, label = seen(protocol.attacker)
    nth = torch.arange(len(label)) % 8
    head = fit(features[nth < 4], label[nth < 4], 7)
    person = torch.searchsorted(protocol.attacker.identity.unique(), protocol.attacker.identity)

    def kappas(features: torch.Tensor, label: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
        """Return kappa in replicates over people."""
        confusion = expression.confusion_by_person(label, head(features).argmax(1), person, int(person.max()) + 1, 7)
        return expression.kappa_replicates(confusion, person_draws(len(confusion), 1000))

    own = kappas(features[nth >= 4], label[nth >= 4], person[nth >= 4])
    others = kappas(*seen(protocol.probe), protocol.person(protocol.probe))
    assert float(own.quantile(0.025)) > 0.1  # identity is in the features, so that a leak would show
    assert float(others.quantile(0.025)) < 0 < float(others.quantile(0.975))
    assert float(own.quantile(0.025)) > float(others.quantile(0.975))
