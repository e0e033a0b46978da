"""Whether the judges mean the same: a utility that they do not agree about means nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evaluators.metrics import expression
from evaluators.networks.catalog.classes import counterparts
from evaluators.networks.roles import Describer, Teacher

SMILING = "happy"


def kappas(judges: Sequence[Teacher | Describer], said: Mapping[str, Tensor]) -> dict[str, float]:
    """Return Cohen's kappa of each pair of categorical judges, classes mapped by name.

    Faces for which one of the two has a class that the other has not are left out.

    Args:
        judges: who were asked; those who describe by coefficients are left out.
        said: judge -> (N, C) logits of clear faces.
    """
    teachers = [judge for judge in judges if isinstance(judge, Teacher)]
    answers = {judge.name: said[judge.name].argmax(1).cpu() for judge in teachers}
    out = {}
    for at, one in enumerate(teachers):
        for other in teachers[at + 1 :]:
            index = torch.tensor(counterparts(one.classes, other.classes).index)
            mapped = index[answers[one.name]]
            known = mapped >= 0
            count = len(other.classes)
            cells = torch.bincount(mapped[known] * count + answers[other.name][known], minlength=count**2)
            if known.any():
                out[f"{one.name}, {other.name}"] = float(expression.kappa(cells.double().view(count, count)))
    return out


def smiles(judges: Sequence[Teacher | Describer], said: Mapping[str, Tensor]) -> dict[str, float]:
    """Return Pearson's correlation of each pair of judges' readings of smiling.

    A categorical judge's is his logit of "happy" less the mean of the others, a continuous one's the coefficient that
    he names; judges without either are left out, and pictures in which one of the two finds no face.

    Args:
        judges: who were asked.
        said: judge -> (N, C) logits or (N, D) coefficients of clear faces.
    """
    read: dict[str, Tensor] = {}
    for judge in judges:
        if isinstance(judge, Teacher):
            index = counterparts((SMILING,), judge.classes).index[0]
            if index >= 0:
                logits = said[judge.name]
                others = (logits.sum(1) - logits[:, index]) / (logits.shape[1] - 1)
                read[judge.name] = (logits[:, index] - others).double().cpu()
        elif judge.smile in judge.coefficients:
            read[judge.name] = said[judge.name][:, judge.coefficients.index(judge.smile)].double().cpu()
    out = {}
    names = list(read)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            pair = torch.stack((read[one], read[other]))
            pair = pair[:, pair.isfinite().all(0)]
            if pair.shape[1] > 2 and bool((pair.std(1) > 0).all()):
                out[f"{one}, {other}"] = float(torch.corrcoef(pair)[0, 1])
    return out
