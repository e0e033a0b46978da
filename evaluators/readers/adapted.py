"""The adapted reader: he knows the method, and learns to read through it on anonymized faces of attacker people.

What the method mixes linearly he undoes before he looks, where that lets him read people better who were left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from evaluators.readers.heads import fit_heads
from evaluators.readers.sight import Sight, View


def adapted(sight: Sight) -> Mapping[str, Tensor]:
    """Read every judge's description of the clear probes, see `READERS`."""
    return learned(sight.views, sight.targets, sight.attacker_person, sight.blocks)


def learned(
    views: Sequence[View], targets: Mapping[str, Tensor], person: Tensor, blocks: Sequence[int]
) -> Mapping[str, Tensor]:
    """Learn targets in every view, and read each from the probes in the view that serves it best.

    Args:
        views: of the same pictures.
        targets, person, blocks: see `fit_heads`.

    Returns:
        name -> (N, C) scores of classes, or (N, D) coefficients.
    """
    heads = [fit_heads(view.attacker, targets, person, blocks) for view in views]
    read = {}
    for name in targets:
        good = [of_view[name].left_out for of_view in heads]
        best = good.index(max(good))
        read[name] = heads[best][name](views[best].probe)
    return read
