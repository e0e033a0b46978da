"""Make the dense table: many configurations of the default space on the demo world, each measured stage by stage.

uv run python -m benchmarks.searching.measuring [--people 40] [--attacker-people 80] [--draws 1000] [--out FILE]

The table is what `benchmarks.search` replays sweeps on, see `benchmarks.searching.table`. What stands in it is not
measured again: cut off, the making of it goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anonymizers import ANONYMIZERS, Anonymizer, KSame
from benchmarks.searching.table import MEASURED, SPACE
from evaluators.attackers import SEARCHING
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import METRICS
from evaluators.networks.roles import Nets
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from orchestrator.cluster.code import commit_here
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.proposals import ANCHORS
from search_spaces import SPACES

COUNTS = {"blur": 25, "pixelate": 20, "k_same": 25, "donors": 80}
"""Configurations of each method: more of those that the front is made of."""


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


def measured(panel: Panel, anonymizer: Anonymizer, draws: int) -> Iterator[dict[str, Any]]:
    """Measure a configuration to its end; yield a row of the table for each stage."""
    begun, before = time.perf_counter(), Watched.passes
    known: dict[str, Any] = {}
    for scores in panel.stages(anonymizer):
        row: dict[str, Any] = {
            "configuration": repr(anonymizer),
            "method": anonymizer.method,
            "hyperparameters": json.dumps(dict(anonymizer.hyperparameters())),
            "stage": scores.stage,
            "passes": Watched.passes - before,
            "seconds": time.perf_counter() - begun,
            **{name: scores.values[name] for name in METRICS},
        }
        for name in DEFAULT_OBJECTIVES:
            drawn = scores.replicates[name][:draws].astype(np.float16)
            # What a stage did not change is written once.
            same = name in known and np.array_equal(known[name], drawn)
            row[f"{name}_draws"] = None if same else drawn
            known[name] = drawn
        yield row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=40, help="evaluated people of the demo world")
    parser.add_argument("--attacker-people", type=int, default=80, help="people that attackers and readers learn from")
    parser.add_argument("--draws", type=int, default=1_000, help="of people whose scores are kept")
    parser.add_argument("--out", type=Path, default=MEASURED)
    options = parser.parse_args()
    commit = commit_here()
    protocol = demo_protocol(evaluated=options.people, attacker=options.attacker_people)
    panel = Panel(protocol, watched(load_nets(None)), attackers=SEARCHING)
    facts = {
        "people": options.people,
        "attacker_people": options.attacker_people,
        "pictures": (len(protocol.gallery) + len(protocol.probe)) // options.people,
        "attackers": SEARCHING,
        "commit": commit,
    }
    rows: list[dict[str, Any]] = pq.read_table(options.out).to_pylist() if options.out.exists() else []
    known = {row["configuration"] for row in rows}
    for one in configurations():
        too_few = isinstance(one, KSame) and one.k > options.people
        if repr(one) not in known and not too_few:
            rows += measured(panel, one, options.draws)
            print(one, rows[-1]["passes"], *(rows[-1][name] for name in DEFAULT_OBJECTIVES), flush=True)
            write(rows, facts, options.out)
    print(f"{len(rows)} rows: {options.out.stat().st_size / 1e6:.2f} MB at {options.out}")


def configurations() -> list[Anonymizer]:
    """List what is measured: the anchors, then all methods in turn, so that a part of the table has all of them too."""
    space = SPACES[SPACE]
    spread = {method: space.spread(method, COUNTS[method]) for method in space.methods}
    places = [((n + 1) / len(own), one) for own in spread.values() for n, one in enumerate(own)]
    return [*(ANONYMIZERS[name]() for name in ANCHORS), *(one for _, one in sorted(places, key=lambda at: at[0]))]


def write(rows: list[dict[str, Any]], facts: dict[str, Any], path: Path) -> None:
    """Write the table, without the metrics that were not measured."""
    table = pa.Table.from_pylist(rows)
    found = [name for name in table.column_names if table[name].null_count < len(table)]
    table = table.select(found).replace_schema_metadata({"made": json.dumps(facts)})
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd", compression_level=9)
    part.replace(path)


if __name__ == "__main__":
    main()
