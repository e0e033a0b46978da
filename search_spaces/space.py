"""A search space: a fixed list of configurations, or ranges over methods."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anonymizers import ANONYMIZERS, Anonymizer, Choice, Integer, Real
from anonymizers.base import Range

if TYPE_CHECKING:
    import optuna

METHOD = "method"
CONFIGURATION = "configuration"


@dataclass(frozen=True)
class SearchSpace:
    """Say what may be tried: either `configurations`, a fixed list, or `methods` with the ranges of their fields.

    Attributes:
        name: as in SPACES.
        configurations: the fixed list; empty for ranges.
        methods: names in ANONYMIZERS; their fields' own ranges hold unless narrowed.
        narrowed: "<method>.<field>" -> a range within the field's own.

    Raises:
        ValueError: if neither or both are given, a name is unknown, or a narrowed range leaves the field's own.
    """

    name: str
    configurations: tuple[Anonymizer, ...] = ()
    methods: tuple[str, ...] = ()
    narrowed: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.configurations) == bool(self.methods):
            raise ValueError(f"space {self.name}: expected configurations or methods, got both or neither")
        if len({repr(c) for c in self.configurations}) != len(self.configurations):
            raise ValueError(f"space {self.name}: a configuration stands in the list twice")
        if unknown := [m for m in self.methods if m not in ANONYMIZERS]:
            raise ValueError(f"space {self.name}: expected methods of {sorted(ANONYMIZERS)}, got {unknown}")
        own = {f"{m}.{f}": over for m in self.methods for f, over in ANONYMIZERS[m].ranges().items()}
        for name, over in self.narrowed.items():
            if name not in own:
                raise ValueError(f"space {self.name}: expected to narrow one of {sorted(own)}, got {name}")
            values = over.values if isinstance(over, Choice) else over.corners()
            if not all(own[name].holds(value) for value in values):
                raise ValueError(f"space {self.name}: {name} is narrowed to {over}, which leaves {own[name]}")

    def ranges(self, method: str) -> dict[str, Range]:
        """Return the range of each field of a method here."""
        return {
            name: self.narrowed.get(f"{method}.{name}", over) for name, over in ANONYMIZERS[method].ranges().items()
        }

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Let Optuna choose the parameters of one configuration; fields depend on the method chosen."""
        if self.configurations:
            names = [repr(c) for c in self.configurations]
            return {CONFIGURATION: trial.suggest_categorical(CONFIGURATION, names)}
        method = trial.suggest_categorical(METHOD, list(self.methods))
        parameters = {METHOD: method}
        for name, over in self.ranges(method).items():
            key = f"{method}.{name}"
            if isinstance(over, Integer):
                # Optuna takes no step together with log.
                step = 1 if over.log else over.step
                parameters[key] = trial.suggest_int(key, over.low, over.high, step=step, log=over.log)
            elif isinstance(over, Real):
                parameters[key] = trial.suggest_float(key, over.low, over.high, log=over.log)
            else:
                parameters[key] = trial.suggest_categorical(key, over.values)
        return parameters

    def decode(self, parameters: Mapping[str, Any]) -> Anonymizer:
        """Make the anonymizer that parameters of `suggest` or `points` name."""
        if self.configurations:
            return next(c for c in self.configurations if repr(c) == parameters[CONFIGURATION])
        method = parameters[METHOD]
        return ANONYMIZERS[method](**{name: parameters[f"{method}.{name}"] for name in self.ranges(method)})

    def points(self, limit: int) -> list[dict[str, Any]]:
        """List an even grid of at least one and at most about `limit` parameters, as `suggest` would give them.

        A fixed list is listed whole, in its order.
        """
        if self.configurations:
            return [{CONFIGURATION: repr(c)} for c in self.configurations]
        grids = [self._grid(method, max(1, limit // len(self.methods))) for method in self.methods]
        return [point for grid in grids for point in grid]

    def _grid(self, method: str, limit: int) -> list[dict[str, Any]]:
        """List an even grid over the fields of one method: all choices, numbers at evenly spread levels."""
        ranges = self.ranges(method)
        numeric = [name for name, over in ranges.items() if not isinstance(over, Choice)]
        choices = 1
        for over in ranges.values():
            choices *= len(over.values) if isinstance(over, Choice) else 1
        levels = max(1, round((limit / choices) ** (1 / len(numeric)))) if numeric else 1
        axes = [[(f"{method}.{name}", value) for value in _levels(over, levels)] for name, over in ranges.items()]
        return [{METHOD: method, **dict(point)} for point in itertools.product(*axes)]


def _levels(over: Range, count: int) -> list[Any]:
    """Spread `count` values over a range, ends included (the middle for one); a choice gives all its values."""
    if isinstance(over, Choice):
        return list(over.values)
    shares = [0.5] if count == 1 else [i / (count - 1) for i in range(count)]
    if over.log:
        values = [over.low * (over.high / over.low) ** share for share in shares]
    else:
        values = [over.low + (over.high - over.low) * share for share in shares]
    if isinstance(over, Real):
        return values
    return sorted({over.low + round((value - over.low) / over.step) * over.step for value in values})
