"""What racing saves: a sweep on the demo world is measured once, stage by stage, and raced in many orders.

uv run python -m benchmarks.search [--trials 40] [--people 40] [--attacker NAME ...] [--orders 20]

Every configuration is measured to its end, with the seconds and the pictures that networks looked at in each stage, and
what was known after it. Then the same configurations are raced in random orders, the anchors first, on what was
measured. The front with racing must be the front without.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anonymizers import Anonymizer
from evaluators.attackers import SEARCHING, THROUGH_THE_EMBEDDER
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import objectives_of
from evaluators.metrics.scores import Scores
from evaluators.networks.roles import Nets
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from orchestrator.records.front import front_mask
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.proposals import ANCHORS, Proposals
from orchestrator.sweep.racing import Racing
from search_spaces import SPACES

SPACE = "classical_and_generator"


@dataclass(frozen=True, eq=False)
class Measured:
    """Hold what was known after each stage of a configuration, and what it had cost by then."""

    scores: tuple[Scores, ...]
    seconds: tuple[float, ...]
    passes: tuple[int, ...]


class Watched:
    """Answer as a network does, and count the pictures that it looks at."""

    passes = 0

    def __init__(self, net: Any) -> None:
        self.net = net

    def __call__(self, images: Any) -> Any:
        Watched.passes += len(images)
        return self.net(images)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)


def watched(nets: Nets) -> Nets:
    """Watch the embedder and everybody who judges the expression."""
    teacher = Watched(nets.teacher)
    judges = tuple(teacher if judge is nets.teacher else Watched(judge) for judge in nets.judges)
    return replace(nets, embedder=Watched(nets.embedder), teacher=teacher, judges=judges)


def measured(panel: Panel, anonymizer: Anonymizer) -> Measured:
    """Measure a configuration to its end."""
    scores, seconds, looked = [], [], []
    begun, before = time.perf_counter(), Watched.passes
    for found in panel.stages(anonymizer):
        scores.append(found)
        seconds.append(time.perf_counter() - begun)
        looked.append(Watched.passes - before)
    return Measured(tuple(scores), tuple(seconds), tuple(looked))


def raced(table: dict[str, Measured], order: list[str], seed: int) -> tuple[float, float, Counter[str], int, set[str]]:
    """Race the configurations in an order.

    Returns:
        Shares of the seconds and passes that are spent, stage -> stops, number that were audited, and the front.
    """
    racing = Racing(objectives_of(DEFAULT_OBJECTIVES), seed=seed)
    spent, stopped, audited, finished = np.zeros(2), Counter[str](), 0, {}
    for trial, name in enumerate(order):
        one, asked = table[name], False
        for scores in one.scores:
            whole = not scores.stage
            stop = None if whole or trial < len(ANCHORS) or asked else racing.decision(trial, scores)
            asked = asked or (stop is not None and racing.audits(trial))
            if whole or (stop is not None and not asked):
                break
        audited += asked
        place = one.scores.index(scores)
        spent += (one.seconds[place], one.passes[place])
        if whole:
            racing.add(trial, scores.values, scores.replicates)
            finished[name] = scores
        else:
            stopped[scores.stage] += 1
    whole_cost = np.sum([(one.seconds[-1], one.passes[-1]) for one in table.values()], 0)
    share = spent / whole_cost
    return float(share[0]), float(share[1]), stopped, audited, front_of(finished)


def front_of(finished: dict[str, Scores]) -> set[str]:
    """Return the names on the front."""
    directions = objectives_of(DEFAULT_OBJECTIVES)
    points = np.array([[scores[name] for name in directions] for scores in finished.values()])
    mask = front_mask(points, list(directions.values()))
    return {name for name, kept in zip(finished, mask, strict=True) if kept}


def main() -> None:
    """Measure, race, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="configurations besides the anchors")
    parser.add_argument("--people", type=int, default=60, help="evaluated people of the demo world")
    parser.add_argument("--attacker-people", type=int, default=120, help="people that attackers and readers learn from")
    parser.add_argument("--attacker", action="append", help="besides those of every search", default=[])
    parser.add_argument("--sampler", default="tpe", help="that proposes them, at full fidelity")
    parser.add_argument("--orders", type=int, default=20, help="random orders in which they are raced")
    options = parser.parse_args()
    attackers = (*SEARCHING, *options.attacker)
    nets = load_nets(None, differentiable=bool(THROUGH_THE_EMBEDDER & set(attackers)))
    protocol = demo_protocol(evaluated=options.people, attacker=options.attacker_people)
    panel = Panel(protocol, watched(nets), attackers=attackers)
    space = SPACES[SPACE]
    directions = objectives_of(DEFAULT_OBJECTIVES)
    proposals = Proposals(
        space, directions, sampler=options.sampler, trials=options.trials, seed=0, begun_with=options.trials
    )
    table: dict[str, Measured] = {}
    while len(table) < proposals.total and (asked := proposals.ask()) is not None:
        found = measured(panel, asked.anonymizer)
        table[repr(asked.anonymizer)] = found
        proposals.tell(asked, found.scores[-1].values)
    print(f"{len(table)} configurations of {SPACE} by {options.sampler}; {options.people} people, by {attackers}")
    for place, scores in enumerate(next(iter(table.values())).scores):
        share = [
            sum(getattr(one, what)[min(place, len(one.scores) - 1)] for one in table.values())
            / sum(getattr(one, what)[-1] for one in table.values())
            for what in ("seconds", "passes")
        ]
        print(f"after {scores.stage or 'all'}: {share[0]:.2f} of the seconds, {share[1]:.2f} of the passes")
    names = list(table)
    truth = front_of({name: one.scores[-1] for name, one in table.items()})
    chance = np.random.default_rng(0)
    shares, same, audits, stops = [], 0, 0, Counter[str]()
    for seed in range(options.orders):
        rest = names[len(ANCHORS) :]
        order = names[: len(ANCHORS)] + (rest if seed == 0 else [rest[n] for n in chance.permutation(len(rest))])
        seconds, looked, stopped, audited, front = raced(table, order, seed)
        shares.append((seconds, looked))
        stops += stopped
        audits += audited
        same += front == truth
        if seed == 0:
            print(f"in the order proposed: {seconds:.2f} of the seconds, {looked:.2f} of the passes, {dict(stopped)}")
    mean, deviation = np.mean(shares, 0), np.std(shares, 0)
    print(
        f"{options.orders} orders: {mean[0]:.3f} ± {deviation[0]:.3f} of the seconds, "
        f"{mean[1]:.3f} ± {deviation[1]:.3f} of the passes; "
        f"{stops.total() / options.orders:.1f} stopped ({dict(stops)}), {audits / options.orders:.1f} audited; "
        f"the front of {len(truth)} is the one without racing in {same} of {options.orders}"
    )


if __name__ == "__main__":
    main()
