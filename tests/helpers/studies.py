"""A small study and simulated participants, for the tests of what becomes of their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.records.ledger import Ledger
from orchestrator.records.trials import flat
from orchestrator.study.design import (
    EXPRESSION,
    PAIR,
    SAME,
    TASKS,
    configurations_of,
    designed,
    drawn_subjects,
)
from orchestrator.study.key import made_key
from tests.helpers.sample_rows import SWEEP, row, scores

CLASSES = ("anger", "happy", "neutral", "sad")
TRIALS = (
    row(0, "identity", {}, scores(0.98, 0.95)),
    row(1, "blackout", {}, scores(0.01, 0.02)),
    row(2, "blur", {"kernel": 31}, scores(0.8, 0.6)),
    row(3, "pixelate", {"block": 16}, scores(0.4, 0.3)),
)


def swept(folder: Path) -> Path:
    """Write the ledger of the sweep that the study is of."""
    with Ledger.create(folder / "ledger.arrow", SWEEP) as ledger:
        for trial in TRIALS:
            ledger.append(dict(trial))
    return folder


def small_key(subjects: int = 16, trials: int = 4) -> dict[str, Any]:
    """Make the key of a study with so many faces, two probes and two clear pictures of each person."""
    rows = [flat(trial) for trial in TRIALS[:trials]]
    person = [n // 2 for n in range(2 * subjects)]
    truth = [CLASSES[(n // 2) % len(CLASSES)] for n in range(2 * subjects)]
    drawn = drawn_subjects(truth, person, person, subjects, seed=0)
    items, groups = designed(drawn, rows, seed=0)
    for item in items.values():
        item["face"] = f"probe{drawn[item.pop('subject')].probe}"
        if "gallery" in item:
            item["gallery"] = f"gallery{item['gallery']}"
    return made_key(
        {
            "sweep": SWEEP["name"],
            "protocol": SWEEP["protocol"]["digest"],
            "truth_by": "labels",
            "classes": list(CLASSES),
            "consent": None,
            "configurations": configurations_of(rows),
            "items": items,
            "groups": groups,
        }
    )


def answered(
    key: Mapping[str, Any],
    participant: int,
    expression: Mapping[int, float],
    same: Mapping[int, tuple[float, float]],
    seed: int = 0,
) -> dict[str, Any]:
    """Answer as somebody with known rates would.

    Args:
        key: of the study.
        participant: the number.
        expression: trial -> the rate of right words; wrong ones are spread evenly over the other classes.
        same: trial -> the rates at which same and different pairs are called the same.
        seed: of the participant's luck.
    """
    rng = np.random.default_rng([seed, participant])
    group = key["groups"][participant % len(key["groups"])]
    answers = []
    for name in (name for task in TASKS for name in group[task]):
        item = key["items"][name]
        if item["task"] == EXPRESSION:
            right = rng.random() < expression[item["trial"]]
            others = [word for word in key["classes"] if word != item["truth"]]
            answer = item["truth"] if right else str(rng.choice(others))
        else:
            assert item["task"] == PAIR
            called = rng.random() < same[item["trial"]][item["truth"] != SAME]
            answer = "same" if called else "different"
        answers.append({"item": name, "task": item["task"], "answer": answer, "ms": 900 + int(rng.integers(400))})
    return {
        "kind": "answers of a study",
        "version": 1,
        "study": key["study"],
        "consent": None,
        "participant": participant,
        "session": f"{seed:08x}{participant:08x}",
        "complete": True,
        "answers": answers,
    }


def saved(folder: Path, sheet: Mapping[str, Any]) -> Path:
    """Write the answers of a participant as the page saves them."""
    path = folder / f"answers-{sheet['participant']}-{sheet['session']}.json"
    path.write_text(json.dumps(sheet))
    return path
