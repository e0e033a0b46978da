"""Names of spaces and attackers, here too since their packages import torch, which --help does without.

A test holds them equal to SPACES, ATTACKERS and SEARCHING.
"""

from __future__ import annotations

SPACE_NAMES = (
    "classical_grid",
    "k_same_grid",
    "adaptive_five",
    "classical",
    "classical_and_generator",
    "bands",
    "generator",
    "gan_vs_classical",
    "generators_on_photographs",
    "conditioning_on_photographs",
    "published_generators",
    "conditioning_ablation",
    "expression_loss_ablation",
    "cloaks",
)
ATTACKER_NAMES = ("fixed", "parrot", "retrained", "mapped", "restored", "finetuned", "held_out")
SEARCHING_NAMES = ("fixed", "parrot", "retrained", "mapped")
