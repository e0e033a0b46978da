"""Attackers: who is on the anonymized picture? One file each; strongest wins.

To add one: a module with `identify(evidence) -> (N, P) scores`, or None where he has nothing to attack with, a row in
`ATTACKERS`, and its columns in METRICS.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from evaluators.attackers.embeddings import fixed, flipped, held_out, mapped, parrot, retrained
from evaluators.attackers.evidence import Clear, Evidence
from evaluators.attackers.pictures import finetuned, lowpass, of_family, restored, undone

ATTACKERS: dict[str, Callable[[Evidence], Tensor | None]] = {
    "fixed": fixed.identify,
    "flipped": flipped.identify,
    "parrot": parrot.identify,
    "retrained": retrained.identify,
    "mapped": mapped.identify,
    "lowpass": lowpass.identify,
    "undone": undone.identify,
    "of_family": of_family.identify,
    "restored": restored.identify,
    "finetuned": finetuned.identify,
    "held_out": held_out.identify,
}

SEARCHING = ("fixed", "flipped", "parrot", "retrained", "mapped", "lowpass", "undone", "of_family")
"""Attackers of every trial; the others verify the front, and by that stay out of what the search can adapt to."""

ADAPTIVE = ("parrot", "retrained", "mapped", "undone", "restored", "finetuned", "held_out")
"""Attackers that know the method: each must reach the fixed attacker's rate on clear faces, or it cannot learn."""

CLASSIFYING = ("retrained", "lowpass", "undone", "of_family", "restored", "finetuned")
"""Attackers who learn the enrolled people as classes: in an open-set search they learn those alone who are enrolled."""

THROUGH_THE_EMBEDDER = {"of_family", "restored", "finetuned"}
"""Attackers that need the embedder's gradients."""

__all__ = ["ADAPTIVE", "ATTACKERS", "CLASSIFYING", "SEARCHING", "THROUGH_THE_EMBEDDER", "Clear", "Evidence"]
