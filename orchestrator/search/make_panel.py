"""Make the panel of a run where it will live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from anonymizers import ANONYMIZERS
from evaluators.attackers import SEARCHING, THROUGH_THE_EMBEDDER
from evaluators.datasets.protocol import Protocol as FaceProtocol
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.roles import Nets
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from orchestrator.search.checks import check_device


@dataclass(frozen=True)
class MakePanel:
    """Make the panel of a run where it will live; small enough to send, but for faces and families.

    Attributes:
        families: method -> what was learned of it before, packed; see `orchestrator.search.families`.
        families_left_out: method -> why there is no family of it.
    """

    protocol: FaceProtocol
    networks: Networks | None
    objectives: tuple[str, ...]
    attackers: tuple[str, ...] = SEARCHING
    device: str = "auto"
    differentiable: bool = False
    signals: tuple[str, ...] = ()
    keep_curves: bool = False
    publish: str = "png"
    families: Mapping[str, bytes] = field(default_factory=dict)
    families_left_out: Mapping[str, str] = field(default_factory=dict)

    def __call__(self) -> Panel:
        """Load the networks onto the device and look at the clear faces once.

        Raises:
            ValueError: if a GPU was asked for and none is there.
        """
        device, nets = self.networks_there()
        return Panel(
            self.protocol,
            nets,
            objectives=self.objectives,
            attackers=self.attackers,
            device=device,
            keep_curves=self.keep_curves,
            publish=self.publish,
            families=self.families,
        )

    def networks_there(self) -> tuple[str, Nets]:
        """Load the networks onto the device; return both.

        Raises:
            ValueError: if a GPU was asked for and none is there.
        """
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        check_device(device)
        nets = load_nets(
            self.networks,
            device=device,
            threads=torch.get_num_threads(),
            differentiable=self.differentiable,
            signals=self.signals,
        )
        return device, nets


def needs_gradients(attackers: Iterable[str], methods: Iterable[str]) -> bool:
    """Tell whether an attacker or a method works through the embedder's gradients."""
    return bool(THROUGH_THE_EMBEDDER & set(attackers)) or any(ANONYMIZERS[m].needs_embedder for m in methods)
