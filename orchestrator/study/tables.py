"""Tables of a study: what people see of each configuration, and whether attackers and readers order them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluators.metrics import METRICS
from evaluators.metrics.statistics import LEVEL, percentile_interval, person_draws, wilson_interval
from orchestrator.records.trials import Row
from orchestrator.study.agreement import (
    counted,
    fleiss_kappa,
    jackknife,
    kendall,
    sensitivity,
    sensitivity_error,
    spearman,
)
from orchestrator.study.design import EXPRESSION, PAIR, PAIR_ANSWERS, SAME

REPLICATES = 2_000
ACCURACY = {EXPRESSION: "people_expression", PAIR: "people_same"}
"""Task -> column of the share of right answers."""
ATTACKED = (
    "rank1_", "rank5_", "rank10_", "tar_at_", "eer", "auc", "d_prime", "fnir_", "linkability_", "advantage", "hifd_",
)  # fmt: skip
"""How the columns of what attackers find out begin; those of readers and judges, with expression."""
LEAST = 3
"""Configurations that a correlation is over at least."""


def people_table(answers: Sequence[Row], key: Mapping[str, Any], seed: int = 0) -> list[Row]:
    """Summarize what people answered about each configuration.

    Rates have Wilson's interval, its variance adjusted for dependence within a participant, which keeps its coverage
    near 0 and 1; of one participant, Wilson's own. d' has that of a bootstrap over participants united with that of
    independent answers, since few participants vary too little in a bootstrap; Fleiss' kappa that of a jackknife over
    them, None with too few of them.

    Args:
        answers: of `answer_rows`.
        key: of the study.
        seed: of the bootstrap.

    Returns:
        For each configuration `trial`, `configuration`, `participants`; `people_expression` and `people_same` (the
        shares of right answers; chance is 1 / classes and 0.5), `people_same_hits` and `people_same_false_alarms`
        (shares of the same and of the different pairs that were called the same), `people_same_d_prime`,
        `people_expression_fleiss`, `people_same_fleiss`, with `_lo` and `_hi`, and `n_expression`, `n_same` (answers).
    """
    rows = []
    for configuration in key["configurations"]:
        trial = configuration["trial"]
        row: Row = {"trial": trial, "configuration": configuration["name"], "method": configuration["method"]}
        row["participants"] = len({one["participant"] for one in answers})
        for task, column in ACCURACY.items():
            own = [one for one in answers if one["task"] == task and one["trial"] == trial]
            row[f"n_{column.removeprefix('people_')}"] = len(own)
            row |= _rate(column, own) | _fleiss(column, own, key["classes"] if task == EXPRESSION else PAIR_ANSWERS)
            if task == PAIR:
                row |= _same(own, seed)
        rows.append(row)
    return rows


def _places(own: Sequence[Row]) -> NDArray[np.int64]:
    """Return (N,) places of the participants among those who answered."""
    _, places = np.unique([one["participant"] for one in own], return_inverse=True)
    return np.asarray(places, dtype=np.int64)


def _rate(column: str, own: Sequence[Row]) -> Row:
    """Return the share of right answers with its interval."""
    if not own:
        return dict.fromkeys((column, f"{column}_lo", f"{column}_hi"))
    right = torch.tensor([float(one["correct"]) for one in own])
    people = _places(own)
    alone = people.max() == 0  # then answers are the unit
    low, high = wilson_interval(right, torch.arange(len(own)) if alone else torch.from_numpy(people))
    return {column: float(right.mean()), f"{column}_lo": low, f"{column}_hi": high}


def _fleiss(column: str, own: Sequence[Row], known: Sequence[str]) -> Row:
    """Return Fleiss' kappa with its interval."""
    people = _places(own)

    def of(kept: NDArray[np.bool_]) -> float | None:
        some = [one for one, person in zip(own, people, strict=True) if kept[person]]
        return fleiss_kappa(counted([one["item"] for one in some], [one["answer"] for one in some], known))

    count = int(people.max()) + 1 if own else 0
    low, high = jackknife(of, count) or (None, None)
    name = f"{column}_fleiss"
    return {name: of(np.ones(count, dtype=bool)) if own else None, f"{name}_lo": low, f"{name}_hi": high}


def _same(own: Sequence[Row], seed: int) -> Row:
    """Return hits, false alarms and d'."""
    people = _places(own)
    count = int(people.max()) + 1 if own else 0
    of = {name: np.zeros(count) for name in ("hits", "same", "false_alarms", "different")}
    for one, person in zip(own, people, strict=True):
        alike, called = one["truth"] == SAME, one["answer"] == SAME
        of["same" if alike else "different"][person] += 1
        of["hits" if alike else "false_alarms"][person] += called
    sums = {name: float(value.sum()) for name, value in of.items()}
    name = "people_same_d_prime"
    row: Row = {
        "people_same_hits": sums["hits"] / sums["same"] if sums["same"] else None,
        "people_same_false_alarms": sums["false_alarms"] / sums["different"] if sums["different"] else None,
        name: float(sensitivity(**sums)) if own else None,
        **dict.fromkeys((f"{name}_lo", f"{name}_hi")),
    }
    if own:
        width = NormalDist().inv_cdf((1 + LEVEL) / 2) * sensitivity_error(**sums)
        low, high = row[name] - width, row[name] + width
        if count > 1:
            draws = person_draws(count, REPLICATES, seed).numpy()
            drawn = sensitivity(**{part: draws @ value for part, value in of.items()})
            ends = percentile_interval(torch.from_numpy(drawn), count)
            low, high = min(low, ends[0]), max(high, ends[1])
        row |= {f"{name}_lo": low, f"{name}_hi": high}
    return row


def correlations(answers: Sequence[Row], key: Mapping[str, Any], trials: Sequence[Row], seed: int = 0) -> list[Row]:
    """Correlate what people see with what every reader and attacker of the sweep finds, over the configurations.

    The intervals are over participants alone: the configurations are those that were asked about, and few.

    Args:
        answers: of `answer_rows`.
        key: of the study.
        trials: flat rows of the sweep's trials table.
        seed: of the bootstrap.

    Returns:
        For each column `people` (the share of right answers: about expressions beside readers, about pairs beside
        attackers), `column`, `configurations`, `kendall` and `spearman` with `_lo` and `_hi`; None where
        people's answers or the column say the same of all configurations, the interval also where they do so in a
        replicate, and with one participant.
    """
    measured = {row["trial"]: row for row in trials}
    asked = [one["trial"] for one in key["configurations"]]
    out: list[Row] = []
    for task, people in ACCURACY.items():
        shares, drawn = _shares([one for one in answers if one["task"] == task], asked, seed)
        for column in METRICS:
            if not column.startswith("expression_" if task == EXPRESSION else ATTACKED) or "chance" in column:
                continue
            values = [measured.get(trial, {}).get(column) for trial in asked]
            there = [n for n, value in enumerate(values) if value is not None and np.isfinite(shares[n])]
            if len(there) < LEAST:
                continue
            other = np.array([values[n] for n in there], dtype=np.float64)
            row: Row = {"people": people, "column": column, "configurations": len(there)}
            for name, function in (("kendall", kendall), ("spearman", spearman)):
                value = float(function(shares[there], other))
                row[name] = value if np.isfinite(value) else None
                row |= dict.fromkeys((f"{name}_lo", f"{name}_hi"))
                if drawn is not None and np.isfinite(value):
                    replicates = function(drawn[:, there], other)
                    if np.isfinite(replicates).all():
                        low, high = percentile_interval(torch.from_numpy(replicates))
                        row |= {f"{name}_lo": low, f"{name}_hi": high}
            out.append(row)
    return out


def _shares(
    own: Sequence[Row], asked: Sequence[int], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the (C,) shares of right answers about each configuration, and (R, C) of them in every replicate."""
    people = _places(own)
    count = int(people.max()) + 1 if own else 0
    right, total = np.zeros((count, len(asked))), np.zeros((count, len(asked)))
    for one, person in zip(own, people, strict=True):
        place = asked.index(one["trial"])
        right[person, place] += one["correct"]
        total[person, place] += 1
    with np.errstate(invalid="ignore"):
        shares = right.sum(axis=0) / total.sum(axis=0)
    if count < 2:
        return shares, None
    draws = person_draws(count, REPLICATES, seed).numpy()
    return shares, (draws @ right) / (draws @ total)
