"""Ask the teacher, unprepared and adapted, for the expression."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anonymizers import Faces
from evaluators.attackers.evidence import Evidence
from evaluators.datasets.protocol import Protocol
from evaluators.measuring.tally import Tally
from evaluators.metrics import expression
from evaluators.networks.catalog.classes import counterparts
from evaluators.networks.roles import Teacher
from evaluators.readers.linear import fit


def measure(evidence: Evidence, tally: Tally, *, temperature: float, labels: Tensor | None) -> None:
    """Put the columns of the expression into a tally.

    Args:
        evidence: of one configuration.
        tally: that takes the values.
        temperature: of the teacher's logits, see `temperature_of`.
        labels: (N,) int64, the teacher's class for each probe's label, -1 where it has none; None without labels.
    """
    clear, teacher = evidence.clear, evidence.nets.teacher
    reference, answered = clear.probe_reading, evidence.probe_reading
    truth, answer = reference.logits.argmax(1), answered.logits.argmax(1)
    classes = len(teacher.classes)
    tally.kappa("expression_kappa", truth, answer, classes)
    head = fit(evidence.attacker_reading.features, clear.attacker_answer, classes)
    tally.kappa("expression_kappa_adapted", truth, head(answered.features).argmax(1), classes)
    tally.rate("expression_agreement", (truth == answer).double().cpu())
    tally.put(
        "expression_agreement_chance",
        float(expression.chance_agreement(tally.confusion(truth, answer, classes).sum(0))),
    )
    p = (reference.logits / temperature).softmax(1)
    q = (answered.logits / temperature).softmax(1)
    tally.mean("expression_kl", expression.kl(p, q))
    tally.mean("expression_js", expression.js(p, q))
    tally.mean("expression_similarity", expression.similarity(reference.features, answered.features))
    if labels is None:
        return
    label = labels.to(answer.device)
    known = label >= 0
    if not known.any():
        return
    tally.values["expression_accuracy"] = float((answer == label)[known].double().mean())
    tally.values["expression_macro_f1"] = float(
        expression.macro_f1(tally.confusion(label[known], answer[known], classes, known).sum(0))
    )


def temperature_of(protocol: Protocol, teacher: Teacher, device: torch.device) -> float:
    """Fit the teacher's temperature on labelled clear faces of the attacker people; 1 where there are none."""
    label = labels_of(protocol.attacker, protocol.expressions, teacher.classes)
    if label is None or not (known := label >= 0).any():
        return 1.0
    with torch.no_grad():
        logits = teacher(protocol.attacker.images.to(device)[known.to(device)]).logits
    return expression.fit_temperature(logits.cpu(), label[known])


def labels_of(faces: Faces, names: Sequence[str] | None, classes: Sequence[str]) -> Tensor | None:
    """Map (N,) labels to the teacher's classes, by name, never by position; -1 where unlabelled or without a class.

    Returns:
        (N,) int64; None where the labels have no names.

    Raises:
        ValueError: if the teacher has a class for none of the labels.
    """
    if names is None:
        return None
    found = counterparts(names, classes)
    if len(found.without) == len(names):
        raise ValueError(
            f"labels: expected some of the teacher's classes {list(classes)}, got {list(names)}; choose another teacher"
        )
    table = torch.tensor([*found.index, -1])
    return table[faces.expression.cpu()]
