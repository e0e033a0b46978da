"""A search space: a fixed list of configurations, or ranges over methods."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anonymizers import ANONYMIZERS, Anonymizer, Choice, Integer, Real
from anonymizers.ranges import Range

if TYPE_CHECKING:
    from typing import Protocol

    class Suggests(Protocol):
        """What a space asks of a trial; `optuna.Trial` is one."""

        def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
            """Choose one of several values."""

        def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
            """Choose a real number, ends included."""

        def suggest_int(self, name: str, low: int, high: int, *, step: int = ..., log: bool = ...) -> int:
            """Choose an integer, ends included."""


METHOD = "method"
CONFIGURATION = "configuration"


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Say what may be tried: either `configurations`, a fixed list, or `methods` with the ranges of their fields.

    Attributes:
        name: as in SPACES.
        configurations: the fixed list; empty for ranges.
        methods: names in ANONYMIZERS; their fields' own ranges hold unless narrowed.
        narrowed: "<method>.<field>" -> a range within the field's own, or one value, which is then not searched.
        description: one sentence for the reader.

    Raises:
        ValueError: if neither or both are given, a name is unknown or repeats, or a narrowed range leaves the
            field's own.
    """

    name: str
    configurations: tuple[Anonymizer, ...] = ()
    methods: tuple[str, ...] = ()
    narrowed: Mapping[str, Range | int | float | str] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        if bool(self.configurations) == bool(self.methods):
            raise ValueError(f"space {self.name}: expected configurations or methods, got both or neither")
        if len({repr(c) for c in self.configurations}) != len(self.configurations):
            raise ValueError(f"space {self.name}: a configuration stands in the list twice")
        if unknown := [m for m in self.methods if m not in ANONYMIZERS]:
            raise ValueError(f"space {self.name}: expected methods of {sorted(ANONYMIZERS)}, got {unknown}")
        if len(set(self.methods)) != len(self.methods):
            raise ValueError(f"space {self.name}: expected each method once, got {self.methods}")
        own = {f"{m}.{f}": over for m in self.methods for f, over in ANONYMIZERS[m].ranges().items()}
        for name, over in self.narrowed.items():
            if name not in own:
                raise ValueError(f"space {self.name}: expected to narrow one of {sorted(own)}, got {name}")
            values = [over] if isinstance(over, int | float | str) else _members(over)
            if not values or not all(own[name].holds(value) for value in values):
                raise ValueError(f"space {self.name}: {name} is narrowed to {over}, which leaves {own[name]}")

    @property
    def size(self) -> int | None:
        """Return the number of different configurations, or None if one of the ranges is continuous."""
        if self.configurations:
            return len(self.configurations)
        sizes = [self._size(method) for method in self.methods]
        return None if math.inf in sizes else int(sum(sizes))

    @property
    def dimensions(self) -> int:
        """Return how many parameters a configuration has at most, the method's name among them."""
        return 1 + max((len(self.ranges(method)) for method in self.methods), default=0)

    @property
    def used(self) -> tuple[str, ...]:
        """Return the methods that may be tried here."""
        return self.methods or tuple(dict.fromkeys(c.method for c in self.configurations))

    def examples(self) -> list[Anonymizer]:
        """List one configuration for each combination of choices: what networks and signals may be asked for here."""
        if self.configurations:
            return list(self.configurations)
        found = []
        for method in self.methods:
            own, fixed = self.ranges(method), self._fixed(method)
            values = [over.values if isinstance(over, Choice) else over.corners()[:1] for over in own.values()]
            keys = [f"{method}.{name}" for name in own]
            found += [
                self.decode({**fixed, **dict(zip(keys, some, strict=True))}) for some in itertools.product(*values)
            ]
        return found

    @property
    def signals(self) -> tuple[str, ...]:
        """Return the signals that configurations of the space draw from, of the faces or of the background."""
        named = [name for one in self.examples() for name in (*one.needed(), *one.background_needs)]
        return tuple(dict.fromkeys(named))

    def ranges(self, method: str) -> dict[str, Range]:
        """Return the range of each field of a method that is searched here."""
        here = {f: self.narrowed.get(f"{method}.{f}", over) for f, over in ANONYMIZERS[method].ranges().items()}
        return {name: over for name, over in here.items() if not isinstance(over, int | float | str)}

    def suggest(self, trial: Suggests, *, flat: bool = False) -> dict[str, Any]:
        """Let Optuna choose the parameters of one configuration.

        The method is asked for where there are several, and then only its own fields, as "<method>.<field>"; fixed
        values are in the result without being asked for.

        Args:
            trial: of Optuna.
            flat: ask for the fields of all methods, so that every trial has the same parameters.
        """
        if self.configurations:
            names = [repr(c) for c in self.configurations]
            return {CONFIGURATION: trial.suggest_categorical(CONFIGURATION, names)}
        method = self.methods[0]
        if len(self.methods) > 1:
            method = trial.suggest_categorical(METHOD, list(self.methods))
        parameters: dict[str, Any] = {METHOD: method}
        for asked in self.methods if flat else (method,):
            parameters |= self._fixed(asked) | self._suggested(asked, trial)
        return parameters | {METHOD: method}

    def _suggested(self, method: str, trial: Suggests) -> dict[str, Any]:
        """Ask for the searched fields of one method."""
        parameters: dict[str, Any] = {}
        for name, over in self.ranges(method).items():
            key = f"{method}.{name}"
            if isinstance(over, Choice):
                parameters[key] = trial.suggest_categorical(key, over.values)
            elif isinstance(over, Real):
                parameters[key] = trial.suggest_float(key, over.low, over.high, log=over.log)
            elif over.log:
                # Optuna takes no step together with log: the nearest value on the steps is used.
                parameters[key] = _on_step(over, trial.suggest_int(key, over.low, over.high, log=True))
            else:
                parameters[key] = trial.suggest_int(key, over.low, _on_step(over, over.high), step=over.step)
        return parameters

    def decode(self, parameters: Mapping[str, Any]) -> Anonymizer:
        """Make the anonymizer that parameters of `suggest` or `points` name.

        Raises:
            ValueError: if they are not parameters of this space.
        """
        if self.configurations:
            wanted = parameters.get(CONFIGURATION)
            for configuration in self.configurations:
                if repr(configuration) == wanted:
                    return configuration
            raise ValueError(f"space {self.name}: expected one of its {self.size} configurations, got {wanted!r}")
        method = parameters[METHOD]
        if method not in self.methods:
            raise ValueError(f"space {self.name}: expected a method of {self.methods}, got {method!r}")
        return ANONYMIZERS[method](**{f: parameters[f"{method}.{f}"] for f in ANONYMIZERS[method].ranges()})

    def points(self, limit: int) -> list[dict[str, Any]]:
        """List an even grid of at most `limit` points, in the form of `suggest`; Optuna can be given them to try.

        Methods share the limit evenly; what a small method leaves goes to the others. Numbers take evenly spread
        levels with both ends; choices take all their values, or the first where the share has no room.
        A fixed list is listed whole, in its order, whatever the limit.

        Raises:
            ValueError: if there are fewer than one point per method to give.
        """
        if self.configurations:
            return [{CONFIGURATION: repr(c)} for c in self.configurations]
        if limit < len(self.methods):
            raise ValueError(
                f"space {self.name}: expected at least {len(self.methods)} points, one per method, got {limit}"
            )
        share: dict[str, int] = {}
        for method in sorted(self.methods, key=self._size):
            free = (limit - sum(share.values())) // (len(self.methods) - len(share))
            share[method] = int(min(self._size(method), free))
        return [point for method in self.methods for point in self._grid(method, share[method])]

    def spread(self, method: str, count: int, seed: int = 0) -> list[Anonymizer]:
        """Spread configurations over what may be tried of a method: of each field every part of its range occurs.

        Source: McKay, Beckman and Conover, Technometrics 1979 (https://doi.org/10.1080/00401706.1979.10489755).

        Args:
            method: of the space.
            count: at most so many, fewer where there are not so many different ones.
            seed: of the draw.
        """
        if self.configurations:
            own = [c for c in self.configurations if c.method == method]
            return own[:: max(1, -(-len(own) // count))]
        draw = random.Random(f"{seed}/{method}")
        axes = {}
        for name, over in self.ranges(method).items():
            levels = _levels(over, int(min(count, _count(over))))
            level = [levels[place * len(levels) // count] for place in range(count)]
            draw.shuffle(level)
            axes[f"{method}.{name}"] = level
        found = (
            self.decode({**self._fixed(method), **{key: level[place] for key, level in axes.items()}})
            for place in range(count)
        )
        return list({repr(one): one for one in found}.values())

    def _fixed(self, method: str) -> dict[str, Any]:
        """Return the parameters of a method that are not searched, the method's name among them."""
        searched = self.ranges(method)
        keys = [f"{method}.{name}" for name in ANONYMIZERS[method].ranges() if name not in searched]
        return {METHOD: method, **{key: self.narrowed[key] for key in keys}}

    def _size(self, method: str) -> float:
        """Count the configurations of a method; infinite where a range is continuous."""
        return math.prod(_count(over) for over in self.ranges(method).values())

    def _grid(self, method: str, limit: int) -> list[dict[str, Any]]:
        """List an even grid of at most `limit` points over the fields of one method."""
        ranges = self.ranges(method)
        counts = dict.fromkeys(ranges, 1)

        def widen(wanted: dict[str, int]) -> bool:
            wider = counts | {name: int(min(count, _count(ranges[name]))) for name, count in wanted.items()}
            if math.prod(wider.values()) > limit or wider == counts:
                return False
            counts.update(wider)
            return True

        numbers = [name for name, over in ranges.items() if not isinstance(over, Choice)]
        for name in numbers:
            widen({name: 2})
        for name, over in ranges.items():
            if isinstance(over, Choice):
                widen({name: len(over.values)})
        for levels in itertools.count(3):
            if not widen(dict.fromkeys(numbers, levels)):
                break
        for name in numbers:  # a level more of all of them is too much; of some there may be room
            widen({name: counts[name] + 1})
        axes = [[(f"{method}.{n}", value) for value in _levels(over, counts[n])] for n, over in ranges.items()]
        return [{**self._fixed(method), **dict(point)} for point in itertools.product(*axes)]


def _members(over: Range) -> list[Any]:
    """List the values of a range; the ends of a continuous one."""
    if isinstance(over, Integer):
        return list(range(over.low, over.high + 1, over.step))
    return list(over.corners()) if isinstance(over, Choice) or over.low <= over.high else []


def _count(over: Range) -> float:
    """Count the values of a range; infinite for a continuous one."""
    if isinstance(over, Real) and over.low < over.high:
        return math.inf
    return len(set(_members(over)))


def _on_step(over: Integer, value: float) -> int:
    """Return the nearest value of a range that lies on its steps."""
    last = (over.high - over.low) // over.step
    return over.low + min(last, max(0, round((value - over.low) / over.step))) * over.step


def _levels(over: Range, count: int) -> list[Any]:
    """Spread `count` values over a range, ends included; the middle, or the first choice, for one."""
    if isinstance(over, Choice):
        return list(over.values[:count])
    if isinstance(over, Integer) and count >= _count(over):  # a logarithm's small steps would round to the same values
        return _members(over)
    shares = [0.5] if count == 1 else [i / (count - 1) for i in range(count)]
    if over.log:
        values = [over.low * (over.high / over.low) ** share for share in shares]
    else:
        values = [over.low + (over.high - over.low) * share for share in shares]
    if isinstance(over, Integer):
        return sorted({_on_step(over, value) for value in values})
    return [min(over.high, max(over.low, value)) for value in values]
