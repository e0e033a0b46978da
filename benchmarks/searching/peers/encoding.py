"""Configurations as points of a unit cube, for Gaussian processes: choices one-hot, numbers at their places."""

from __future__ import annotations

import math
from typing import Any

import torch
from asking import Asking
from torch import Tensor


def coordinates(parameters: list[dict[str, Any]], configuration: dict[str, Any]) -> list[float]:
    """Place a configuration in the cube; fields that it does not have lie in the middle."""
    found: list[float] = []
    for over in parameters:
        value = configuration.get(over["name"])
        if "values" in over:
            found += [0.5 if value is None else float(value == one) for one in over["values"]]
        elif value is None:
            found.append(0.5)
        elif over["log"]:
            found.append(math.log(value / over["low"]) / math.log(over["high"] / over["low"]))
        else:
            found.append((value - over["low"]) / (over["high"] - over["low"]))
    return found


class Candidates:
    """The points that may be tried: those of the choices that there are, or all of the cube."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        points = [coordinates(asking.parameters, one) for one in asking.choices]
        self.points: Tensor | None = torch.tensor(points, dtype=torch.double) if points else None
        self.dimensions = len(points[0]) if points else len(asking.parameters)

    def first(self, count: int) -> Tensor:
        """Draw points to begin with: Sobol's, or some of the choices."""
        if self.points is None:
            return torch.quasirandom.SobolEngine(self.dimensions, scramble=True, seed=self.asking.seed).draw(
                count, dtype=torch.double
            )
        return self.points[torch.randperm(len(self.points))[:count]]

    def configuration(self, point: Tensor) -> dict[str, Any]:
        """Return the parameters of a point."""
        if self.points is None:
            names = [over["name"] for over in self.asking.parameters]
            return dict(zip(names, point.clamp(0, 1).tolist(), strict=True))
        return self.asking.choices[int((self.points - point).abs().sum(1).argmin())]
