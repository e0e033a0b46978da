"""Whether the judges of the expression mean the same: their order of a sweep's configurations, pairwise and left out.

    uv run python -m benchmarks.judges results/lfw-classical_grid

Kendall's tau between every two judges' shares, without methods that were told the expression. Then every judge is left
out in turn: the front is found by the others, and judged by him. On the demo world the last table sets the utility
against what an adapted reader finds of the true coefficients.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import kendalltau

from evaluators.metrics import CATEGORICAL, CONTINUOUS
from orchestrator.records.front import front_rows
from orchestrator.records.trials import TOLD_BY, Row
from orchestrator.records.wording import name_of

TRUTH = "expression_r2_demo_coefficients_adapted"


def judges_of(rows: Sequence[Row]) -> list[str]:
    """Return the judges whose shares the rows have."""
    return [name for name in (*CATEGORICAL, *CONTINUOUS) if any(row.get(kept(name)) is not None for row in rows)]


def kept(judge: str) -> str:
    """Return the column of a judge's share."""
    return f"expression_kept_{judge}"


def tau(rows: Sequence[Row], one: str, other: str) -> float:
    """Return Kendall's tau-b of two columns over the rows that have both; NaN where there are fewer than two."""
    pairs = [(row[one], row[other]) for row in rows if row.get(one) is not None and row.get(other) is not None]
    return float(kendalltau(*zip(*pairs, strict=True)).statistic) if len(pairs) > 1 else float("nan")


def told_nothing(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of methods that nobody told the expression."""
    return [row for row in rows if not row.get(TOLD_BY)]


def without(rows: Sequence[Row], judge: str, judges: Sequence[str]) -> list[Row]:
    """Return the rows with `others`, the smallest share of all judges but one, at most 1."""
    out = []
    for row in rows:
        shares = [row[kept(name)] for name in judges if name != judge and row.get(kept(name)) is not None]
        if shares:
            out.append({**row, "others": min(1.0, *shares)})
    return out


def left_out(rows: Sequence[Row], judge: str, judges: Sequence[str]) -> list[Row]:
    """Return the front by the strongest attacker and all judges but one."""
    objectives: Mapping[str, str] = {"rank1_worst": "min", "others": "max"}
    return front_rows(without(rows, judge, judges), objectives)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="results folder of a search")
    folder = parser.parse_args().results
    rows = [row for row in pq.read_table(folder / "trials.parquet").to_pylist() if row["status"] == "complete"]
    judges, free = judges_of(rows), told_nothing(rows)
    print(f"{len(rows)} configurations, {len(free)} of methods that were told nothing\n")
    print("| judges | Kendall's tau |\n|---|---|")
    for one, other in itertools.combinations(judges, 2):
        print(f"| {one}, {other} | {tau(free, kept(one), kept(other)):.2f} |")
    print("\n| left out | tau with the others | on the others' front: configuration | by the others | by him |")
    print("|---|---|---|---|---|")
    for judge in judges if len(judges) > 1 else ():
        agreed = tau(without(rows, judge, judges), "others", kept(judge))
        for row in left_out(rows, judge, judges):
            print(f"| {judge} | {agreed:.2f} | {name_of(row)} | {row['others']:.2f} | {row[kept(judge)]:.2f} |")
    if any(row.get(TRUTH) is not None for row in rows):
        print(f"\nexpression_kept with {TRUTH}: tau {tau(rows, 'expression_kept', TRUTH):.2f}")
    spread = [row["expression_kept"] for row in rows if row.get("expression_kept") is not None]
    print(f"expression_kept from {np.min(spread):.2f} to {np.max(spread):.2f}")


if __name__ == "__main__":
    main()
