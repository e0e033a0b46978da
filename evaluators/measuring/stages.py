"""Stages: a configuration is measured in stages, cheapest proof first; each computes only what it adds.

    readers ──────────────> gallery ──────────────────> undoing ──────────> pictures ──────> verifying
    fixed, flipped, mapped; parrot, retrained, lowpass  undone, of_family   distances of     restored, finetuned,
    all readers                                                             pictures         held_out, one's own

What decides is met first: after `readers` the utility stands, and of the risk what can be had from the same pictures.
Until the last attacker is met, the largest rate so far bounds the risk from below, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

READERS, GALLERY, UNDOING, PICTURES, VERIFYING = "readers", "gallery", "undoing", "pictures", "verifying"
MET = {
    **dict.fromkeys(("fixed", "flipped", "mapped"), READERS),
    **dict.fromkeys(("parrot", "retrained", "lowpass"), GALLERY),
    **dict.fromkeys(("undone", "of_family"), UNDOING),
}
"""Attacker -> the stage in which he is met; all others, who may train networks for minutes, in the last."""


def plan_of(attackers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the stages of a panel in their order -> the attackers that each adds.

    Args:
        attackers: of the panel. A stage without anything to add is left out.
    """
    plan: dict[str, list[str]] = {stage: [] for stage in (READERS, GALLERY, UNDOING, PICTURES, VERIFYING)}
    for name in attackers:
        plan[MET.get(name, VERIFYING)].append(name)
    return {stage: tuple(added) for stage, added in plan.items() if added or stage in (READERS, PICTURES)}
