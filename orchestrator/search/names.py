"""Names of spaces and attackers, here too since their packages import torch, which --help and a refusal do without.

A test holds them equal to SPACES, ATTACKERS and SEARCHING.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluators.metrics import objectives_of
from evaluators.metrics.constraints import constraints_of
from evaluators.options import expected_one_of
from orchestrator.sweep.study import STALE_GROWTH

if TYPE_CHECKING:
    from orchestrator.search.settings import Settings

SPACE_NAMES = (
    "classical_grid",
    "k_same_grid",
    "adaptive_five",
    "classical",
    "classical_and_donors",
    "classical_and_generator",
    "donors",
    "covering",
    "donors_on_photographs",
    "bands",
    "generator",
    "refined",
    "refined_ablation",
    "gan_vs_classical",
    "generators_on_photographs",
    "conditioning_on_photographs",
    "published_generators",
    "conditioning_ablation",
    "expression_loss_ablation",
    "cloaks",
)
DEFAULT_SPACE = "classical_and_donors"
"""What is searched where nothing else is said."""
ATTACKER_NAMES = (
    "fixed",
    "flipped",
    "parrot",
    "retrained",
    "mapped",
    "lowpass",
    "undone",
    "of_family",
    "restored",
    "finetuned",
    "held_out",
)
SEARCHING_NAMES = ("fixed", "flipped", "parrot", "retrained", "mapped", "lowpass", "undone", "of_family")


def is_own_space(name: str) -> bool:
    """Tell package.module:NAME, a user's own space, from other names."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name) is not None


def check_names(settings: Settings) -> None:
    """Check what can be checked of a sweep's settings before anything is imported that takes its time.

    Raises:
        ValueError: if a space, metric or attacker is unknown, or options contradict each other.
    """
    space = settings.space
    if space is not None and space not in SPACE_NAMES and not is_own_space(space):
        raise ValueError(expected_one_of("--space", SPACE_NAMES, space, "package.module:NAME"))
    check_attackers(settings.attackers)
    directions = objectives_of(settings.objectives)
    if not 2 <= len(directions) <= 3 or len(directions) != len(settings.objectives):
        raise ValueError(f"--objective: expected two or three different metrics, got {', '.join(settings.objectives)}")
    constraints_of(settings.constraints)
    if settings.stale_growth != STALE_GROWTH and settings.stop_after_stale is None:
        raise ValueError(f"--stale-growth {settings.stale_growth:g}: does nothing without --stop-after-stale")
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")


def check_attackers(names: Sequence[str]) -> None:
    """Check a choice of attackers.

    Raises:
        ValueError: if one is not known or chosen twice, or the fixed one, against whom the others are checked, is
            missing.
    """
    for name in names:
        if name not in ATTACKER_NAMES:
            raise ValueError(expected_one_of("--attacker", ATTACKER_NAMES, name))
    if len(set(names)) < len(names):
        raise ValueError(f"--attacker: expected different attackers, got {', '.join(names)}")
    if "fixed" not in names:
        raise ValueError(
            f"--attacker: expected fixed among them, got {', '.join(names)}; he shows what clear faces give, which the "
            "adaptive ones must reach"
        )
