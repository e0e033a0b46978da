"""Searchers side by side: hypervolume of the truth against the face passes that they spend.

    uv run python -m benchmarks.search [--problems table zdt1 zdt2 dtlz2] [--seeds 20] [--budget 60] \
        [--peer moasha=PYTHON --peer primo=PYTHON --peer qnehvi=PYTHON --peer momf=PYTHON] [--keep FILE]

The table is of the default space on the demo world, measured once stage by stage (`benchmarks.searching.measuring`);
each seed sees a draw of the people who were measured. The formulas are ZDT1, ZDT2 and DTLZ2 with noise, measured as the
project measures. A budget is in passes, counted in those of a whole trial.

Peers are programs in `benchmarks/searching/peers`, each used as its package documents it, in an environment of its own
whose Python is given: moasha wants syne-tune, primo neural-pipeline-search, qnehvi and momf botorch. They see the
stages as fidelities where they have such. With --keep what was run stays in a file, and is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.searching.elsewhere import Peer
from benchmarks.searching.formulas import FORMULAS, Formula
from benchmarks.searching.ours import optunas, search
from benchmarks.searching.problem import Problem, Tried, curve, wrong_stops
from benchmarks.searching.table import MEASURED, Replay

Search = Callable[[Problem, int, int], list[Tried]]
Result = dict[str, Any]

SEARCHERS: dict[str, Search] = {
    "random": lambda problem, seed, budget: optunas(problem, "random", seed, budget),
    "Optuna NSGA-II": lambda problem, seed, budget: optunas(problem, "nsga2", seed, budget),
    "Optuna TPE": lambda problem, seed, budget: optunas(problem, "tpe", seed, budget),
    **{
        f"ours, {sampler}{'' if racing else ', no racing'}": (
            lambda problem, seed, budget, sampler=sampler, racing=racing: search(
                problem, sampler, seed, budget, racing=racing
            )
        )
        for sampler in ("tpe", "gp", "nsga2", "nsga3", "qmc", "random")
        for racing in (False, True)
    },
}
USUAL = ("random", "Optuna NSGA-II", "Optuna TPE", "ours, tpe, no racing", "ours, tpe")
PEERS = {"moasha": "Syne Tune MOASHA", "primo": "NePS PriMO", "qnehvi": "BoTorch qNEHVI", "momf": "BoTorch MOMF"}


def problem_of(name: str, seed: int) -> Problem:
    """Make the problem of a name."""
    return Replay(seed) if name == "table" else Formula(name, seed)


def result_of(problem: Problem, run: Search, seed: int, budget: int) -> Result:
    """Run one sweep; say what came of it."""
    began = time.process_time()
    tried = run(problem, seed, budget)
    seconds = time.process_time() - began
    stopped, wrong, front = wrong_stops(problem, tried)
    return {
        "volumes": [round(float(one), 5) for one in curve(problem, tried, budget)],
        "tried": len(tried),
        "stopped": stopped,
        "wrong": wrong,
        "front": front,
        "seconds": round(seconds, 2),
    }


def lines(results: list[Result], problem: str, budget: int) -> Iterator[str]:
    """Yield the rows of a problem's table."""
    here = [one for one in results if one["problem"] == problem]
    names = list(dict.fromkeys(one["searcher"] for one in here))
    volumes = {name: np.array([one["volumes"] for one in here if one["searcher"] == name]) for name in names}
    elsewhere = [name for name in names if not name.startswith("ours")]
    goal = np.inf
    if elsewhere:
        best = max(elsewhere, key=lambda name: volumes[name][:, -1].mean())
        goal = volumes[best][:, -1].mean()
        yield f"{problem}: best of the others: {best}, {goal:.3f} after {budget}"
    for name in names:
        own, mean = [one for one in here if one["searcher"] == name], volumes[name].mean(0)
        error = volumes[name].std(0, ddof=min(1, len(own) - 1)) / np.sqrt(len(own))
        reached = np.flatnonzero(mean >= goal)
        third = budget // 3 - 1
        stopped, wrong, front = (sum(one[what] for one in own) for what in ("stopped", "wrong", "front"))
        cells = [
            name,
            str(len(own)),
            f"{np.mean([one['tried'] for one in own]):.0f}",
            *(f"{mean[at]:.3f} ± {error[at]:.3f}" if len(own) > 1 else f"{mean[at]:.3f}" for at in (third, -1)),
            str(reached[0] + 1) if len(reached) else "–",
            f"{wrong} of {front} ({wrong / front:.3f})" if stopped else "",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what was not run yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=["table", *FORMULAS])
    parser.add_argument("--searchers", nargs="*", default=list(USUAL), help=f"of {', '.join(SEARCHERS)}")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON", metavar="NAME=PYTHON")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=60, help="passes, in whole trials")
    parser.add_argument("--keep", type=Path, help="file of what was run")
    options = parser.parse_args()
    if "table" in options.problems and not MEASURED.exists():
        parser.error(f"expected the table at {MEASURED}, found none: make it with benchmarks.searching.measuring")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results: list[Result] = []
    if options.keep and options.keep.exists():
        results = [json.loads(line) for line in options.keep.read_text().splitlines()]
    done = {(one["problem"], one["searcher"], one["seed"]) for one in results}
    with ExitStack() as programs:
        wanted = {name: SEARCHERS[name] for name in options.searchers}
        for peer in options.peer:
            name, _, python = peer.partition("=")
            wanted[PEERS[name]] = programs.enter_context(Peer(name, Path(python))).search
        for problem in options.problems:
            for searcher, run in wanted.items():
                for seed in range(options.seeds):
                    if (problem, searcher, seed) in done:
                        continue
                    facts = {"problem": problem, "searcher": searcher, "seed": seed}
                    result = facts | result_of(problem_of(problem, seed), run, seed, options.budget)
                    results.append(result)
                    if options.keep:
                        with options.keep.open("a") as file:
                            print(json.dumps(result), file=file)
    print("| searcher | seeds | trials | at a third | at the end | passes to the best of the others | wrong stops |")
    print("|---|---|---|---|---|---|---|")
    for problem in dict.fromkeys(one["problem"] for one in results):
        print("\n".join(lines(results, problem, options.budget)))


if __name__ == "__main__":
    main()
