"""Rows of a sweep whose scores have details: planted tables of what is read, and planted rates of groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.helpers.sample_rows import SWEEP, sample

CLASSES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
PROTOCOL = {
    **SWEEP["protocol"],
    "groups": {
        "gender": {"female": 80, "male": 70},
        "ethnicity": {"white <b>": 120, "black": 22, "west asian": 8},
    },
    "n_people_without_group": 8,
}
DETAILED: dict[str, Any] = {
    **SWEEP,
    "protocol": PROTOCOL,
    "panel": {"judges_classes": {"facex": list(CLASSES), "labels": ["plain", "smile"]}},
}


def confusion(trial: int, classes: int) -> list[int]:
    """Draw counts; the more are right the lower the trial's number is."""
    rng = np.random.default_rng(trial)
    counts = rng.integers(0, 9, (classes, classes)) + np.diag(rng.integers(0, 400 // (trial + 1) + 1, classes))
    if classes > 2:
        counts[2] = 0  # nobody looks sad
    return [int(count) for count in counts.flat]


def details(trial: int) -> dict[str, Any]:
    rate = 1 / (trial + 1)
    return {
        "confusions": {
            "facex": {"adapted": confusion(trial, 7), "shown": confusion(trial + 50, 7)},
            "labels": {"adapted": confusion(trial + 90, 2)},
        },
        "groups": {
            attribute: {
                group: {
                    "expression_kept": None if group == "black" and trial % 2 else [rate / 2, rate / 4, rate],
                    "rank1_worst": [rate, rate / 2, 1.0],
                    "attacker": "parrot",
                }
                for group, people in groups.items()
                if people >= 10
            }
            for attribute, groups in PROTOCOL["groups"].items()
        },
    }


def detailed() -> list[dict[str, Any]]:
    """Make the rows of the small sample sweep, with details of those that are complete."""
    return [
        row if row["scores"] is None else {**row, "scores": replace(row["scores"], details=details(row["trial"]))}
        for row in sample()
    ]
