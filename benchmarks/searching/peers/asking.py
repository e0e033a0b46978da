"""How a searcher in an environment of its own asks: a line of JSON out, a line of JSON in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

# Whatever a package prints goes where errors go.
_OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class Asking:
    """Hold a problem, and ask for measurements.

    Attributes:
        seed: of the sweep.
        parameters: {"name", "low", "high", "integer", "log", "step"} or {"name", "values"} of each.
        choices: the configurations that there are, if they are few; else empty.
        objectives: number of them; all are costs.
        reference, ideal: the corners of the hypervolume, in costs.
        costs: of a trial up to each stage, in whole trials.
    """

    def __init__(self, about: dict[str, Any]) -> None:
        self.seed: int = about["seed"]
        self.parameters: list[dict[str, Any]] = about["parameters"]
        self.choices: list[dict[str, Any]] = about["choices"]
        self.objectives: int = about["objectives"]
        self.reference: list[float] = about["reference"]
        self.ideal: list[float] = about["ideal"]
        self.costs: list[float] = about["costs"]
        self.left = True

    def measured(self, parameters: dict[str, Any], stage: int) -> list[float]:
        """Return the costs that are known of a configuration after a stage, of 1 to the last; `left` tells of budget.

        What was measured of it before is not paid for again.
        """
        print(json.dumps({"parameters": parameters, "stage": stage}), file=_OUT, flush=True)
        answer = json.loads(sys.stdin.readline())
        self.left = answer["left"]
        costs: list[float] = answer["costs"]
        return costs


def sweeps() -> Iterator[Asking]:
    """Yield the sweeps that are wanted; the next one begins when one has no budget left."""
    while line := sys.stdin.readline():
        yield Asking(json.loads(line))
        print("{}", file=_OUT, flush=True)
