"""Make the dense table: many configurations of the default space of the demo world, each measured stage by stage.

uv run python -m benchmarks.searching.measuring [--people 40] [--attacker-people 80] [--draws 1000] [--out FILE]

The table is what `benchmarks.search` replays sweeps on, see `benchmarks.searching.table`. It takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anonymizers import ANONYMIZERS, Anonymizer
from benchmarks.searching.table import MEASURED, SPACE
from evaluators.attackers import SEARCHING
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import METRICS
from evaluators.networks.roles import Nets
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.proposals import ANCHORS
from search_spaces import SPACES

COUNTS = {"blur": 16, "pixelate": 16, "k_same": 16, "donors": 40, "generator": 30}
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
    parser.add_argument("--draws", type=int, default=1_000, help="of people, of which the table keeps the scores")
    parser.add_argument("--out", type=Path, default=MEASURED)
    options = parser.parse_args()
    protocol = demo_protocol(evaluated=options.people, attacker=options.attacker_people)
    panel = Panel(protocol, watched(load_nets(None)), attackers=SEARCHING)
    space = SPACES[SPACE]
    asked = [ANONYMIZERS[name]() for name in ANCHORS]
    asked += [one for method in space.methods for one in space.spread(method, COUNTS[method])]
    # The clear faces were measured when the panel was made, and are known at once: their cost is another's.
    rows: list[dict[str, Any]] = []
    for one in asked:
        rows += measured(panel, one, options.draws)
        print(one, rows[-1]["passes"], *(rows[-1][name] for name in DEFAULT_OBJECTIVES), flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    facts = {
        "people": options.people,
        "attacker_people": options.attacker_people,
        "pictures": len(protocol.probe) // options.people * 2,
        "attackers": SEARCHING,
        "commit": commit.strip(),
    }
    table = pa.Table.from_pylist(rows)
    measured_here = [name for name in table.column_names if table[name].null_count < len(table)]
    table = table.select(measured_here).replace_schema_metadata({"made": json.dumps(facts)})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, options.out, compression="zstd", compression_level=19)
    print(f"{len(asked)} configurations, {len(rows)} rows: {options.out.stat().st_size / 1e6:.2f} MB at {options.out}")


if __name__ == "__main__":
    main()
