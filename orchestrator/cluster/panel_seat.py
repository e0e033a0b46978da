"""The seat of a panel: where it is and what it does; which machines have room for one, and how many fit on a GPU."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

FILLED = 0.9
"""Share of a GPU's memory that panels may fill together."""
MOST_SHARES = 8


@dataclass(eq=False)
class Seat:
    """Say of one panel where it is and what it does.

    Attributes:
        name: of the actor.
        actor: its handle.
        coming: reference to what it says next while it is being made: what its machine has, then what it is; None once
            it stands.
        placed: whether it is on a machine, rather than waiting for one.
        node: id of its machine, "" until known.
        busy: whether a trial is with it.
        leaving: whether it gets no more trials, since its machine goes away.
        held_bytes: of memory, when it was made.
    """

    name: str
    actor: Any
    coming: Any
    node: str
    placed: bool = False
    busy: bool = False
    leaving: bool = False
    held_bytes: int = 0


def spread(broken: Collection[str]) -> Any:
    """Return how Ray spreads panels over the machines, but for some that are broken."""
    if not broken:
        return "SPREAD"
    return NodeLabelSchedulingStrategy(hard={"ray.io/node-id": NotIn(*sorted(broken))})


def room(node: Mapping[str, Any], gpus_per_panel: float) -> int:
    """Return how many panels a machine gets: one per share of its GPUs, or one where they need none."""
    if gpus_per_panel:
        return int(node["Resources"].get("GPU", 0) / gpus_per_panel + 1e-9)
    return 1 if node["Resources"].get("CPU", 0) >= 1 else 0


def shares_of(device_bytes: tuple[int, int] | None) -> int:
    """Return how many panels fit on a GPU.

    Args:
        device_bytes: in use by the first panel, alone there, and in all; None where there is no GPU.
    """
    if device_bytes is None:
        return 1
    held, total = device_bytes
    return max(1, min(MOST_SHARES, int(FILLED * total / max(1, held))))
