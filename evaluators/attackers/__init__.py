"""Attackers: who is on the anonymized picture? One file each; strongest wins.

To add one: a module with `identify(evidence) -> (N, P) scores`, a row in `ATTACKERS`, and its columns in METRICS.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from evaluators.attackers.embeddings import fixed, held_out, mapped, parrot, retrained
from evaluators.attackers.evidence import Clear, Evidence
from evaluators.attackers.pictures import finetuned, restored, undone

ATTACKERS: dict[str, Callable[[Evidence], Tensor]] = {
    "fixed": fixed.identify,
    "parrot": parrot.identify,
    "retrained": retrained.identify,
    "mapped": mapped.identify,
    "undone": undone.identify,
    "restored": restored.identify,
    "finetuned": finetuned.identify,
    "held_out": held_out.identify,
}

SEARCHING = ("fixed", "parrot", "retrained", "mapped", "undone")
"""Attackers of every trial; the others verify the front, and by that stay out of what the search can adapt to."""

ADAPTIVE = ("parrot", "retrained", "mapped", "undone", "restored", "finetuned")
"""Attackers that know the method: each must reach the fixed attacker's rate on clear faces, or it cannot learn."""

THROUGH_THE_EMBEDDER = {"restored", "finetuned"}
"""Attackers that need the embedder's gradients."""

__all__ = ["ADAPTIVE", "ATTACKERS", "SEARCHING", "THROUGH_THE_EMBEDDER", "Clear", "Evidence"]
