"""The adapted reader: he knows the method, and learns to read through it on anonymized faces of attacker people."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from evaluators.readers.heads import fit_heads
from evaluators.readers.sight import Sight


def adapted(sight: Sight) -> Mapping[str, Tensor]:
    """Read every judge's description of the clear probes, see `READERS`."""
    heads = fit_heads(sight.attacker, sight.targets, sight.attacker_person, sight.blocks)
    return {name: head(sight.probe) for name, head in heads.items()}
