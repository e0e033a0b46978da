"""What the terminal is told of a recommendation: what it is, against whom it holds, what is lost, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from evaluators.attackers import ATTACKERS
from evaluators.metrics import CATEGORICAL, CONTINUOUS, METRICS
from orchestrator.recommend.choosing import Found, words
from orchestrator.recommend.equivalents import equivalents
from orchestrator.records.wording import name_of, number, strongest, with_interval


def said(found: Found, results: Path, path: Path, *, face_px: int) -> Iterator[str | Table]:
    """Yield what is to be printed, line by line, tables between.

    Args:
        found: what was chosen.
        results: where from.
        path: of the file that was written.
        face_px: side of a face's crop in the user's pictures, for other programs' command lines.
    """
    row = found.row
    told = " and ".join(words(name, bound) for name, bound in found.bounds.items())
    yield f"{name_of(row)} (trial {row['trial']})"
    yield (
        f"the best in {found.best}, {with_interval(row, found.best)}, of {found.kept} of {found.of} configurations "
        f"whose whole 95 % interval keeps {told}"
    )
    values = ", ".join(f"{name} = {number(value)}" for name, value in found.recommendation.hyperparameters.items())
    yield f"hyperparameters: {values or 'none'}"
    protocol = found.sweep["protocol"]
    yield (
        f"measured on {protocol['name']}: {row['n_people']} people, {row['n_probe']} probes, chance "
        f"{number(row['chance_rank1'])}" + ("; verified" if found.verified else "")
    )
    yield ""
    yield _attackers(found)
    yield ""
    yield from _lost(found)
    yield ""
    yield from _notes(found, results)
    yield f"written: {path}"
    yield (
        f"next:    python -m orchestrator.anonymize PICTURES OUT --config {shlex.quote(str(path))}   PICTURES is a "
        "picture, a video or a folder"
    )
    others = equivalents(found.recommendation.anonymizer(), face_px)
    if others:
        yield ""
        yield (
            f"other programs, for a face of {face_px} px (3.2 times the distance of the eyes; --face-px); their "
            "strength does not follow the face:"
        )
        yield from (f"  {line}" for line in others.values())


def _attackers(found: Found) -> Table:
    """List the attackers, the strongest first, which is the one that sets rank1_worst."""
    row = found.row
    rates = {name: row[f"rank1_{name}"] for name in ATTACKERS if row.get(f"rank1_{name}") is not None}
    first = strongest(row, ATTACKERS)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("attacker")
    table.add_column("rank-1", justify="right")
    table.add_column("")
    for name in sorted(rates, key=lambda name: -rates[name]):
        sets = "sets rank1_worst" if rates[name] == rates[first] else ""
        table.add_row(Text(name), Text(with_interval(row, f"rank1_{name}")), Text(sets))
    if row.get("rank1_worst_fused") is not None:
        rate = with_interval(row, "rank1_worst_fused")
        table.add_row(Text("the strongest"), Text(rate), Text("who has all pictures of a person at once"))
    return table


def _lost(found: Found) -> Iterator[str]:
    """Say what is lost: by the objectives that want much, and by each judge."""
    row = found.row
    for name in found.sweep["objectives"]:
        if METRICS[name].direction == "max":
            yield f"{name}: {with_interval(row, name)} is left, of {number(METRICS[name].high)} at most"
    for judge in (*CATEGORICAL, *CONTINUOUS):
        if row.get(f"expression_kept_{judge}") is not None:
            yield f"  by the judge {judge}: {with_interval(row, f'expression_kept_{judge}')}"


def _notes(found: Found, results: Path) -> Iterator[str]:
    """Say what the figures do not say."""
    low, nothing = found.row.get(f"{found.best}_lo"), METRICS[found.best].worst
    if METRICS[found.best].direction == "max" and low is not None and low <= nothing:
        yield f"note:    the interval of {found.best} reaches {number(nothing)}: perhaps nothing is left"
    if found.sweep["protocol"]["name"] == "demo":
        yield (
            "note:    measured on rendered demo faces, which says nothing of photographs: search --data your faces "
            "before you rely on it"
        )
    if not found.verified:
        yield (
            f"note:    the best of many noisy draws: python -m orchestrator.verify {shlex.quote(str(results))} "
            "measures it on other people and by more attackers, then recommend again"
        )
    if (publish := found.recommendation.publish) != "png":
        yield f"note:    measured as published by {publish}: publish your pictures so, or stronger"
    if (teller := found.row.get("told_by")) and found.recommendation.signals:
        yield f"note:    the method is told the expression by {teller}"
