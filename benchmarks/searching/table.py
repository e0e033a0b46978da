"""The dense table: configurations of the default space on the demo world, measured stage by stage, to replay sweeps on.

A configuration that a searcher asks for is answered by the nearest of its method in the table. Each seed sees other
people: a draw of those who were measured, the same for all configurations; what all of them measure is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from anonymizers import ANONYMIZERS, Anonymizer, Choice, Real
from benchmarks.searching.problem import Seen
from evaluators.metrics import objectives_of
from orchestrator.records.front import worst_and_best
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from search_spaces import SPACES
from search_spaces.space import METHOD, SearchSpace

MEASURED = Path(__file__).parent / "measured.parquet"
SPACE = "classical_and_donors"


@dataclass(frozen=True, eq=False)
class Measured:
    """Hold what was known of a configuration after each stage, and what it had cost by then."""

    anonymizer: Anonymizer
    stages: tuple[str, ...]
    values: tuple[Mapping[str, float], ...]
    draws: tuple[Mapping[str, NDArray[np.float64]], ...]
    passes: tuple[int, ...]


@cache
def measured(path: Path = MEASURED) -> tuple[Measured, ...]:
    """Read the table."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(path).to_pylist():
        rows.setdefault(row["configuration"], []).append(row)
    found = []
    for own in rows.values():
        kept: list[dict[str, NDArray[np.float64]]] = []
        for row in own:  # what a stage did not change is written once
            before = kept[-1] if kept else {}
            new = {name: row[f"{name}_draws"] for name in DEFAULT_OBJECTIVES}
            kept.append({n: before[n] if d is None else np.array(d, np.float64) for n, d in new.items()})
        found.append(
            Measured(
                ANONYMIZERS[own[0]["method"]](**json.loads(own[0]["hyperparameters"])),
                tuple(row["stage"] for row in own),
                tuple({name: row[name] for name in DEFAULT_OBJECTIVES} for row in own),
                tuple(kept),
                tuple(row["passes"] for row in own),
            )
        )
    return tuple(found)


class Replay:
    """Replay a sweep on the table; a `Problem`."""

    def __init__(self, seed: int, path: Path = MEASURED) -> None:
        """Take the draw of people of a seed."""
        self.seed = seed
        self.objectives = objectives_of(DEFAULT_OBJECTIVES)
        worst, best = worst_and_best(self.objectives)
        assert best is not None, "both are bounded"
        self.worst, self.best = worst, best
        self.space: SearchSpace = SPACES[SPACE]
        self.table = measured(path)
        self.whole = float(np.mean([one.passes[-1] for one in self.table if one.passes[-1]]))
        staged = [one for one in self.table if len(one.stages) > 1]
        shares = np.mean([one.passes for one in staged], 0) / np.mean([one.passes[-1] for one in staged])
        self.costs = tuple(float(share) for share in shares)
        self.parameters = list(_parameters(self.space))
        self.choices = [
            {METHOD: one.anonymizer.method}
            | {f"{one.anonymizer.method}.{name}": value for name, value in one.anonymizer.hyperparameters().items()}
            for one in self.table
            if one.anonymizer.method in self.space.methods
        ]

    def stages(self, configuration: Anonymizer) -> list[Seen]:
        """Return what the people of this seed's draw show after each stage."""
        one = self.nearest(configuration)
        seen = []
        for place, stage in enumerate(one.stages):
            values = {name: float(draws[self.seed]) for name, draws in one.draws[place].items()}
            # Draws of the drawn people lie about what these show as draws of all lie about what all show.
            moved = {n: draws + (values[n] - one.values[place][n]) for n, draws in one.draws[place].items()}
            seen.append(Seen(stage, values, moved, one.passes[place] / self.whole))
        return seen

    def truth(self, configuration: Anonymizer) -> tuple[float, ...]:
        """Return what all people show to all attackers and judges."""
        return tuple(self.nearest(configuration).values[-1].values())

    def nearest(self, configuration: Anonymizer) -> Measured:
        """Return the nearest configuration of the same method, by the places of its fields in their ranges."""
        same = [one for one in self.table if one.anonymizer.method == configuration.method]
        return min(same, key=lambda one: self._distance(one.anonymizer, configuration))

    def _distance(self, one: Anonymizer, other: Anonymizer) -> float:
        if one.method not in self.space.methods:
            return 0.0
        ours, theirs = one.hyperparameters(), other.hyperparameters()
        return sum(
            sum(abs(a - b) for a, b in zip(over.place(ours[name]), over.place(theirs[name]), strict=True))
            for name, over in self.space.ranges(one.method).items()
        )


def _parameters(space: SearchSpace) -> Any:
    yield {"name": METHOD, "values": list(space.methods)}
    for method in space.methods:
        for field, over in space.ranges(method).items():
            if isinstance(over, Choice):
                yield {"name": f"{method}.{field}", "values": list(over.values)}
            else:
                yield {
                    "name": f"{method}.{field}",
                    "low": over.low,
                    "high": over.high,
                    "integer": not isinstance(over, Real),
                    "log": over.log,
                    "step": getattr(over, "step", 1),
                }
