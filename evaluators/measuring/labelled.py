"""Labels that people gave: what the unprepared teacher and a reader who learned from labels still get right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from evaluators.attackers.evidence import Clear
from evaluators.measuring.tally import Tally
from evaluators.metrics import expression
from evaluators.readers import Sight
from evaluators.readers.heads import fit_heads

LABELS = "labels"
"""What the people's labels are called where judges are named."""
COLUMNS = (
    "expression_accuracy",
    "expression_macro_f1",
    "expression_accuracy_adapted",
    "expression_macro_f1_adapted",
)
"""Columns that have a `_drop`: their value on the clear faces less that on the anonymized ones."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Hold the labels of probes, (N,), and of the attacker faces that readers learn on, (A,), int64, -1 without one."""

    probe: Tensor
    attacker: Tensor
    classes: int


def labels_of(clear: Clear, names: Sequence[str] | None, rows: Tensor) -> Labels | None:
    """Take the labels of the faces; None where probes or attacker people have none to learn two classes from.

    Args:
        clear: the faces.
        names: of the labels; None where there are none.
        rows: (A,) int64, attacker faces that readers learn on.
    """
    if names is None:
        return None
    probe = clear.probe.expression.to(rows.device)
    attacker = clear.attacker.expression.to(rows.device)[rows]
    if not (probe >= 0).any() or len(attacker[attacker >= 0].unique()) < 2:
        return None
    return Labels(probe, attacker, len(names))


def measure(sight: Sight, tally: Tally, labels: Labels) -> None:
    """Let a reader learn the labels on anonymized attacker faces, and put what he gets right into a tally."""
    known = labels.attacker >= 0
    head = fit_heads(
        sight.attacker[known], {"labels": labels.attacker[known]}, sight.attacker_person[known], sight.blocks
    )["labels"]
    asked = labels.probe >= 0
    truth, said = labels.probe[asked], head(sight.probe[asked]).argmax(1)
    tally.values["expression_accuracy_adapted"] = float((truth == said).double().mean())
    confusion = tally.confusion(truth, said, labels.classes, asked)
    tally.put_confusion(LABELS, "adapted", confusion)
    tally.values["expression_macro_f1_adapted"] = float(expression.macro_f1(confusion.sum(0)))


def clear_values(tally: Tally) -> dict[str, float]:
    """Return what is reached on the clear faces, whose tally this is."""
    return {name: value for name in COLUMNS if (value := tally.values.get(name)) is not None}


def put_drops(tally: Tally, reached: Mapping[str, float]) -> None:
    """Put how much less is right than on the clear faces."""
    for name, value in reached.items():
        now = tally.values.get(name)
        if now is not None:
            tally.values[f"{name}_drop"] = value - now
