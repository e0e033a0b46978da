"""A panel that measures in stages, some of whose configurations others dominate: for what is about racing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from anonymizers import Anonymizer
from evaluators.metrics.scores import Scores
from tests.helpers.fake_panel import FakePanel

WORSE = {"pixelate": 0.3, "k_same": 0.02}
"""Method -> how much less of the expression it keeps than others of the same privacy."""
HIDDEN = 0.01
"""By how much the last attacker exceeds those who are met before."""


class StagedPanel(FakePanel):
    """Say after a stage all but what the strongest attacker does."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.stages_asked = 0

    def score(self, anonymizer: Anonymizer) -> Scores:
        *_, scores = self.stages(anonymizer)
        return scores

    def stages(self, anonymizer: Anonymizer) -> Iterator[Scores]:
        whole = super().score(anonymizer)
        less = WORSE.get(anonymizer.method, 0.0)
        whole = moved(whole, {"expression_kappa_adapted": -less, "expression_kept": -less})
        for scores in (replace(moved(whole, {"rank1_worst": -HIDDEN}), stage="readers"), whole):
            self.stages_asked += 1
            time.sleep(self.seconds / 2)
            yield scores


def moved(scores: Scores, by: Mapping[str, float]) -> Scores:
    """Move some values, with their draws."""
    values, draws = dict(scores.values), dict(scores.replicates)
    for name, step in by.items():
        value = values[name]
        assert value is not None
        values[name] = value + step
        if name in draws:
            draws[name] = draws[name] + draws[name].dtype.type(step)
    intervals = {
        name: (low + by.get(name, 0.0), high + by.get(name, 0.0)) for name, (low, high) in scores.intervals.items()
    }
    return replace(scores, values=values, replicates=draws, intervals=intervals)


@dataclass(frozen=True)
class MakeStagedPanel:
    """Make a StagedPanel where it will live."""

    seconds: float = 0.0

    def __call__(self) -> StagedPanel:
        return StagedPanel(self.seconds)
