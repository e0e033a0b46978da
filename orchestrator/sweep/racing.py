"""Racing: when a trial may be stopped before its last stage, because finished ones are surely better in everything.

    panel ──stage──> Scores so far ──> Racing.decision ──> None: go on
      ^                                      │
      └────────── next stage <───────────────┴──> Stop: the row says at which stage, and by which trials

The decision is a pure function, `decide`: the same in process and on Ray. Replay reads it from the ledger.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.metrics import METRICS
from evaluators.metrics.scores import Scores

CONFIDENCE = 0.95
"""Share of the draws of people in which finished trials must dominate."""
AUDITED = 0.1
"""Of the trials that would be stopped, the share that is measured to its end all the same, drawn by seed."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Say where a configuration stands, or stands at best; smaller is better in every column.

    Attributes:
        trial: its number.
        costs: (m,) float64, one per objective, those to be maximized with the sign turned; -inf where nothing is known
            and the best that is possible has no bound.
        draws: (m, R) float16, the same for R draws of people, the same people for every configuration. Half precision
            as in the ledger, so that a sweep that was resumed decides as one that was not.
    """

    trial: int
    costs: NDArray[np.float64]
    draws: NDArray[np.float16]


@dataclass(frozen=True)
class Stop:
    """Say why a trial is stopped.

    Attributes:
        stage: after which.
        by: trials that dominate it, the fewest that do so with the confidence that is wanted.
        confidence: share of the draws of people in which one of them dominates.
    """

    stage: str
    by: tuple[int, ...]
    confidence: float

    def text(self) -> str:
        """Write it for a row's column `stopped`, as JSON."""
        return json.dumps({"stage": self.stage, "by": list(self.by), "confidence": round(self.confidence, 4)})


def decide(
    stage: str, candidate: Standing, finished: Sequence[Standing], confidence: float = CONFIDENCE
) -> Stop | None:
    """Decide whether a trial is stopped after a stage.

    It is where both hold: a finished trial dominates what it measures at best, so that it can never stand on the
    front of what is measured; and in a share of the draws of people of at least `confidence`, a trial of those
    dominates it there too, so that it hardly owes that to the people who happened to be measured. The draws are paired.

    Args:
        stage: its name.
        candidate: at best: with a bound, or the best possible value, where a later stage may change an objective.
        finished: trials that were measured to their end.
        confidence: in (0, 1].

    Returns:
        Why it is stopped; None where it goes on.

    Raises:
        ValueError: if the numbers of objectives or draws differ.
    """
    odd = {one.draws.shape for one in finished} - {candidate.draws.shape}
    if odd:
        raise ValueError(f"racing: expected objectives and draws of shape {candidate.draws.shape}, got {sorted(odd)}")
    better = [
        rival for rival in finished if (rival.costs <= candidate.costs).all() and (rival.costs < candidate.costs).any()
    ]
    if not better:
        return None
    dominated = np.stack([(rival.draws <= candidate.draws).all(0) for rival in better])
    if dominated.any(0).mean() < confidence:
        return None
    by: list[int] = []
    covered = np.zeros(dominated.shape[1], dtype=bool)
    while covered.mean() < confidence:
        best = int((dominated & ~covered).sum(1).argmax())
        by.append(better[best].trial)
        covered |= dominated[best]
    return Stop(stage, tuple(by), float(covered.mean()))


class Racing:
    """Keep the front of the finished trials, and decide by it."""

    def __init__(
        self,
        objectives: Mapping[str, str],
        constrained: Sequence[str] = (),
        *,
        seed: int,
        confidence: float = CONFIDENCE,
        audited: float = AUDITED,
    ) -> None:
        """Begin without a finished trial.

        Args:
            objectives: metric name -> "min" or "max".
            constrained: metrics besides, of which the sampler is told too.
            seed: of the draw of trials that are audited.
            confidence: see `decide`.
            audited: share of the trials that would be stopped, which are measured to their end all the same.
        """
        self.objectives = dict(objectives)
        self.told = tuple(dict.fromkeys((*objectives, *constrained)))
        self.seed = seed
        self.confidence = confidence
        self.audited = audited
        self.front: list[Standing] = []
        """Whatever a finished trial dominates, one of these dominates."""
        self._finished = np.empty((16, len(self.told)))  # doubled when full: a guess looks at all of them
        self._ended = 0
        self._count = 1

    def add(self, trial: int, values: Mapping[str, float | None], replicates: Mapping[str, Any]) -> None:
        """Take a trial that was measured to its end, by metric its values and (R,) replicates, as `Scores` has them.

        The replicates are looked at only where no other dominates it, since they may have to be computed.
        """
        costs = self._costs(values)
        if self._ended == len(self._finished):
            self._finished = np.concatenate((self._finished, np.empty_like(self._finished)))
        self._finished[self._ended] = [values[name] for name in self.told]
        self._ended += 1
        if not any((one.costs <= costs).all() for one in self.front):
            self._count = max((len(replicates[name]) for name in self.objectives if name in replicates), default=1)
            new = self.standing(trial, values, replicates)
            self.front = [one for one in self.front if not (costs <= one.costs).all()] + [new]

    def decision(self, trial: int, scores: Scores) -> Stop | None:
        """Decide about a trial that was measured up to `scores.stage`; none is stopped before one is finished."""
        if not self.front:
            return None
        candidate = self.standing(trial, scores.values, scores.replicates)
        return decide(scores.stage, candidate, self.front, self.confidence)

    def audits(self, trial: int) -> bool:
        """Tell whether a trial is measured to its end whatever is decided; it follows from the seed and its number."""
        return random.Random(f"{self.seed}, audit of trial {trial}").random() < self.audited

    def standing(self, trial: int, values: Mapping[str, float | None], replicates: Mapping[str, Any]) -> Standing:
        """Say where a trial stands, or stands at best where it is not measured to its end."""
        costs = self._costs(values)
        draws = np.empty((len(self.objectives), self._count), np.float16)
        for m, (name, way) in enumerate(self.objectives.items()):
            sign, value = 1.0 if way == "min" else -1.0, values[name]
            draws[m] = costs[m] if value is None else sign * np.asarray(replicates.get(name, value), np.float16)
        return Standing(trial, costs, draws)

    def _costs(self, values: Mapping[str, float | None]) -> NDArray[np.float64]:
        """Return (m,) costs, the best possible one of an objective that is not measured."""
        costs = np.empty(len(self.objectives))
        for m, (name, way) in enumerate(self.objectives.items()):
            sign, value = 1.0 if way == "min" else -1.0, values[name]
            if value is None:
                end = METRICS[name].low if way == "min" else METRICS[name].high
                costs[m] = -np.inf if end is None else sign * end
            else:
                costs[m] = sign * value
        return costs

    def guess(self, values: Mapping[str, float | None]) -> dict[str, float]:
        """Return what the sampler is told of a stopped trial: its bounds, and a guess of what was not measured.

        The guess is the value of the finished trial that is nearest in what was measured, in units of its spread.
        """
        known = {name: value for name in self.told if (value := values[name]) is not None}
        finished = self._finished[: self._ended]
        seen = finished[:, [self.told.index(name) for name in known]]
        spread = seen.std(0)
        distance = np.abs(seen - list(known.values())) / np.where(spread > 0, spread, 1.0)
        nearest = finished[distance.sum(1).argmin()]
        return dict(zip(self.told, nearest.tolist(), strict=True)) | known
