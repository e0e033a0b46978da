"""How a row is named and its numbers are written, in terminal and report alike."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from anonymizers import ANONYMIZERS
from orchestrator.records.trials import STOPPED, hyperparameters

ANCHORS = {"identity": "no anonymization", "blackout": "black picture", "word": "the told word alone"}
"""Method of an anchor -> what it is."""


def measured_columns(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """Return those of the names that at least one flat row has a value for."""
    rows = list(rows)
    return [name for name in names if any(row.get(name) is not None for row in rows)]


def number(value: float | int | str | None) -> str:
    """Write a value with three significant digits, or as it is if it is an integer or a word."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 0.0005 <= abs(value) < 100:
        return f"{value:.3f}"
    return f"{value:.3g}" if abs(value) < 0.0005 else f"{value:.1f}"


def with_interval(row: Mapping[str, Any], name: str) -> str:
    """Write a metric of a flat row with its interval."""
    if row.get(name) is None:
        return "–"
    if row.get(f"{name}_lo") is None:
        return number(row[name])
    return f"{number(row[name])} [{number(row[f'{name}_lo'])}, {number(row[f'{name}_hi'])}]"


def strongest(row: Mapping[str, Any], attackers: Iterable[str]) -> str:
    """Name the one of several attackers with the largest rank-1 of a flat row; nobody where none was measured."""
    rates = {name: row[f"rank1_{name}"] for name in attackers if row.get(f"rank1_{name}") is not None}
    return max(rates, key=lambda name: rates[name]) if rates else ""


def configuration(row: Mapping[str, Any]) -> str:
    """Write the hyperparameters of a flat row that differ from their default, as in kernel=31."""
    method = ANONYMIZERS.get(row["method"])
    default = {} if method is None else {field.name: field.default for field in dataclasses.fields(method)}
    values = hyperparameters(row).items()
    return ", ".join(f"{name}={number(value)}" for name, value in values if value != default.get(name))


def name_of(row: Mapping[str, Any]) -> str:
    """Name the configuration of a flat row: its method and what differs from the defaults."""
    return f"{row['method']} {configuration(row)}".strip()


def racing_line(rows: Iterable[Mapping[str, Any]], front: Iterable[Mapping[str, Any]]) -> str:
    """Say what racing did to a sweep: how many trials were stopped, and what the audited ones proved.

    Args:
        rows: flat rows of every trial.
        front: those on the front.

    Returns:
        One line; empty where nothing was stopped or audited.
    """
    decided = [row for row in rows if row.get(STOPPED)]
    if not decided:
        return ""
    after = Counter(json.loads(row[STOPPED])["stage"] for row in decided if row["status"] == "stopped")
    audited = {row["trial"] for row in decided if row["status"] != "stopped"}
    wrong = sorted(audited & {row["trial"] for row in front})
    stages = ", ".join(f"{count} after {stage}" for stage, count in after.items())
    line = f"Racing: {after.total()} trials were stopped, surely dominated" + (f" ({stages})" if stages else "")
    if not audited:
        return f"{line}; no other was audited."
    found = f"false stops found: {len(wrong)} of {len(audited)}" + (f", trials {wrong}" if wrong else "")
    return f"{line}; {len(audited)} more went on to be audited, {found}."
