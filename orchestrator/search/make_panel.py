"""Make the panel of a run where it will live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from anonymizers import ANONYMIZERS
from evaluators.attackers import SEARCHING, THROUGH_THE_EMBEDDER
from evaluators.panel import Panel
from evaluators.protocol import Protocol as FaceProtocol
from evaluators.zoo import load_nets


@dataclass(frozen=True)
class MakePanel:
    """Make the panel of a run where it will live; small enough to send, but for the faces."""

    protocol: FaceProtocol
    models: Path | None
    objectives: tuple[str, ...]
    device: str
    networks: Mapping[str, str] = field(default_factory=dict)
    backend_nets: str = "onnx"
    precision: str = "float32"
    attackers: tuple[str, ...] = SEARCHING
    differentiable: bool = False
    signals: tuple[str, ...] = ()

    def __call__(self) -> Panel:
        """Load the networks onto the device and look at the clear faces once.

        Raises:
            ValueError: if a GPU was asked for and none is there.
        """
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
        threads = torch.get_num_threads()
        nets = load_nets(
            self.models,
            device=device,
            threads=threads,
            backend=self.backend_nets,
            precision=self.precision,
            differentiable=self.differentiable,
            signals=self.signals,
            **self.networks,
        )
        return Panel(self.protocol, nets, objectives=self.objectives, attackers=self.attackers, device=device)


def needs_gradients(attackers: Iterable[str], methods: Iterable[str]) -> bool:
    """Tell whether an attacker or a method works through the embedder's gradients."""
    return bool(THROUGH_THE_EMBEDDER & set(attackers)) or any(ANONYMIZERS[m].needs_embedder for m in methods)
