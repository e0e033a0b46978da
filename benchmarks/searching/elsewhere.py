"""Sweeps of searchers that live in environments of their own, started as programs and asked over pipes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.searching.problem import Problem, Seen, Tried

PEERS = Path(__file__).parent / "peers"


class Peer:
    """A searcher's program, started once for many sweeps."""

    def __init__(self, name: str, python: Path) -> None:
        """Start `peers/<name>.py` with an environment's Python; what it says of errors goes to the terminal."""
        self.name = name
        self._program = subprocess.Popen(
            [python, "-W", "ignore", PEERS / f"{name}.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait()

    def search(self, problem: Problem, seed: int, budget: int) -> list[Tried]:
        """Let it search until so many whole trials' passes are spent."""
        signs = [1.0 if way == "min" else -1.0 for way in problem.objectives.values()]
        about = {
            "seed": seed,
            "parameters": problem.parameters,
            "choices": problem.choices,
            "objectives": len(signs),
            "reference": [sign * one for sign, one in zip(signs, problem.worst, strict=True)],
            "ideal": [sign * one for sign, one in zip(signs, problem.best, strict=True)],
            "costs": problem.costs,
        }
        self._say(about)
        spent, tried = 0.0, list[Tried]()
        known: dict[str, list[Seen]] = {}
        paid: dict[str, float] = {}
        while question := self._heard():
            configuration = configured(problem, question["parameters"])
            name = repr(configuration)
            # What another trial measured anew is paid for anew, except what goes on where it stood.
            stages = known.setdefault(name, problem.stages(configuration))
            seen = stages[min(question["stage"], len(stages)) - 1]
            before = paid.get(name, 0.0)
            spent += seen.cost - before if seen.cost > before else seen.cost
            paid[name] = seen.cost
            tried.append(Tried(configuration, seen, spent))
            costs = [sign * seen.values[one] for sign, one in zip(signs, problem.objectives, strict=True)]
            self._say({"costs": costs, "left": spent < budget})
        return tried

    def _say(self, what: dict[str, Any]) -> None:
        assert self._program.stdin is not None
        print(json.dumps(what), file=self._program.stdin, flush=True)

    def _heard(self) -> dict[str, Any]:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError(f"peer {self.name}: expected an answer of its program, it ended instead")
        heard: dict[str, Any] = json.loads(line)
        return heard


def configured(problem: Problem, parameters: dict[str, Any]) -> Any:
    """Make a configuration of parameters that may name fields of other methods too."""
    return problem.space.decode(problem.space.suggest(_Given(parameters)))


class _Given:
    """Suggest what is given."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._parameters[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return min(high, max(low, float(self._parameters[name])))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return low + step * round((min(high, max(low, self._parameters[name])) - low) / step)
