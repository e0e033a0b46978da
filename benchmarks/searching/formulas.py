"""ZDT1, ZDT2 and DTLZ2, measured as the project measures: on people, in stages, with bounds before the last.

Zitzler, Deb and Thiele, Evolutionary Computation 2000 (https://doi.org/10.1162/106365600568202); Deb, Thiele, Laumanns
and Zitzler, CEC 2002 (https://doi.org/10.1109/CEC.2002.1007032). Five fields each, all objectives smaller the better.

Sixty people show each objective with a deviation of a quarter of its range, most of it their own whatever is tried. The
first objective is known after the first stage. Each other one is the largest of what four find; which of them finds it
follows from the configuration; two are met in the first stage, then one in each. Stages cost what they cost on the
demo world.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.searching.problem import Floats, Seen

FIELDS = 5
PEOPLE = 60
DRAWS = 500
SPREAD = 0.25
OWN = 0.3
"""Share of the deviation that is a configuration's own; the rest is the people's, the same for all configurations."""
MET = (2, 3, 4)
"""Attackers that are met by the end of each stage."""
COSTS = (0.7, 0.9, 1.0)


def zdt1(x: Floats) -> Floats:
    rest = 1 + 9 * x[1:].mean()
    return np.array([x[0], rest * (1 - np.sqrt(x[0] / rest))])


def zdt2(x: Floats) -> Floats:
    rest = 1 + 9 * x[1:].mean()
    return np.array([x[0], rest * (1 - (x[0] / rest) ** 2)])


def dtlz2(x: Floats) -> Floats:
    rest = 1 + ((x[2:] - 0.5) ** 2).sum()
    first, second = x[:2] * np.pi / 2
    return rest * np.array([np.cos(first) * np.cos(second), np.cos(first) * np.sin(second), np.sin(first)])


FORMULAS: dict[str, tuple[Callable[[Floats], Floats], tuple[float, ...]]] = {
    "zdt1": (zdt1, (1.1, 4.0)),
    "zdt2": (zdt2, (1.1, 4.0)),
    "dtlz2": (dtlz2, (1.5, 1.5, 1.5)),
}
"""Name -> the formula, and the worst corner of the hypervolume."""


@dataclass(frozen=True)
class Point:
    """Name a configuration of the unit cube."""

    x: tuple[float, ...]
    method = "point"


class Cube:
    """Let a study choose points of the unit cube: what `Proposals` asks of a space."""

    configurations = ()
    methods = ("point",)
    dimensions = FIELDS
    size = None

    def suggest(self, trial: Any, *, flat: bool = False) -> dict[str, float]:
        return {f"x{n}": trial.suggest_float(f"x{n}", 0.0, 1.0) for n in range(FIELDS)}

    def decode(self, parameters: dict[str, float]) -> Point:
        return Point(tuple(parameters[f"x{n}"] for n in range(FIELDS)))


class Formula:
    """Measure a formula on people; a `Problem`."""

    def __init__(self, name: str, seed: int) -> None:
        """Draw the people of a seed."""
        self.formula, self.worst = FORMULAS[name]
        self.seed = seed
        self.objectives = {f"objective_{n}": "min" for n in range(len(self.worst))}
        self.best: Sequence[float] = tuple(0.0 for _ in self.worst)
        self.space = Cube()
        self.parameters = [
            {"name": f"x{n}", "low": 0.0, "high": 1.0, "integer": False, "log": False, "step": 0} for n in range(FIELDS)
        ]
        self.choices: list[dict[str, Any]] = []
        self.costs = COSTS
        chance = np.random.default_rng(seed)
        self._people = chance.normal(0, SPREAD, (PEOPLE, len(self.worst)))
        self._times = chance.multinomial(PEOPLE, np.full(PEOPLE, 1 / PEOPLE), size=DRAWS) / PEOPLE

    def stages(self, configuration: Point) -> list[Seen]:
        """Measure it on the people of the seed."""
        chance = _chance(self.seed, configuration)
        true = np.array(self.truth(configuration))
        share = np.sqrt([1 - OWN**2, OWN**2])
        own = chance.normal(0, SPREAD, self._people.shape)
        each = true + (share[0] * self._people + share[1] * own)
        finds = _chance(0, configuration).uniform(0.5, 1.0, (MET[-1], len(true)))
        finds /= finds.max(0)
        seen = []
        for place, met in enumerate(MET):
            bound = np.where(np.arange(len(true)) == 0, 1.0, finds[:met].max(0))
            # What fewer attackers find is less of what is there, not of what noise adds.
            people = each - true + true * bound
            draws = self._times @ people
            seen.append(
                Seen(
                    "" if met == MET[-1] else f"stage {place}",
                    dict(zip(self.objectives, people.mean(0).tolist(), strict=True)),
                    {name: draws[:, n] for n, name in enumerate(self.objectives)},
                    COSTS[place],
                )
            )
        return seen

    def truth(self, configuration: Point) -> tuple[float, ...]:
        """Return the formula's values."""
        return tuple(self.formula(np.array(configuration.x)).tolist())


def _chance(seed: int, configuration: Point) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {configuration}".encode()).digest()[:8], "big"))
