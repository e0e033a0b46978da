"""A panel whose scores are a formula of the hyperparameters: for everything that is not about scoring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizers import Anonymizer
from evaluators.metrics import METRICS
from evaluators.metrics.scores import Scores

OBJECTIVES = {"rank1_worst": "min", "expression_kappa_adapted": "max"}


class FakePanel:
    """Score by a formula; refuse every block that 7 divides, as a configuration might fail."""

    def __init__(self) -> None:
        self.scored: list[str] = []
        self.notes: list[str] = []

    def score(self, anonymizer: Anonymizer) -> Scores:
        self.scored.append(repr(anonymizer))
        numbers = [v for v in anonymizer.hyperparameters().values() if isinstance(v, int)]
        if anonymizer.method == "pixelate" and numbers[0] % 7 == 0:
            raise ValueError(f"{anonymizer!r}: seven divides it")
        strength = {"identity": 0.0, "blackout": 1.0}.get(anonymizer.method, min(1.0, sum(numbers) / 112))
        values: dict[str, float | None] = dict.fromkeys(METRICS)
        values |= {"rank1_worst": 1 - strength, "expression_kappa_adapted": 1 - strength**2, "rank1_fixed": 0.5}
        values |= {"expression_kept": values["expression_kappa_adapted"]}
        draws = np.linspace(-0.01, 0.01, 50, dtype=np.float32)
        return Scores(
            values,
            {name: (values[name] - 0.01, values[name] + 0.01) for name in OBJECTIVES},  # type: ignore[operator]
            {name: draws + np.float32(values[name]) for name in OBJECTIVES},
            n_probe=20,
            n_people=10,
            n_gallery=20,
            n_attacker=40,
            chance_rank1=0.1,
            seconds=0.0,
        )

    def stages(self, anonymizer: Anonymizer) -> Iterator[Scores]:
        yield self.score(anonymizer)

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        return np.zeros((count, 8, 8, 3), np.uint8)

    def describe(self) -> dict[str, Any]:
        return {"models": {}}
