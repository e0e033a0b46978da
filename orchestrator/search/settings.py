"""Settings of a run: its options, and what of them can be checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluators.attackers import SEARCHING
from evaluators.networks.catalog.choice import DEFAULT_NETWORKS, is_path
from search_spaces import SearchSpace

DEFAULT_OBJECTIVES = ("rank1_worst", "expression_kappa_adapted")
BACKENDS = ("ray", "inprocess")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Settings:
    """Hold the options of a run, as `python -m orchestrator.search --help` explains them."""

    space: SearchSpace
    space_name: str
    data: Path | None = None
    models: Path | None = None
    trials: int = 40
    objectives: tuple[str, ...] = DEFAULT_OBJECTIVES
    sampler: str | None = None
    seed: int = 0
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    backend: str = "ray"
    address: str | None = None
    panels: int | None = None
    gpus_per_panel: float | None = 1.0
    device: str = "auto"
    min_pictures: int | None = None
    max_pictures: int | None = None
    attacker_faces: int = 2500
    embedder: str | None = None
    embedder_input: str | None = None
    held_out: str | None = None
    teacher: str | None = None
    backend_nets: str = "auto"
    precision: str = "float32"
    attackers: tuple[str, ...] = SEARCHING
    copy_to: str | None = None
    time_budget: float | None = None
    max_faces: int | None = None

    @property
    def world(self) -> str:
        """Return "demo" or "folder"."""
        return "demo" if self.data is None else "folder"

    @property
    def networks(self) -> dict[str, str]:
        """Return which of the real networks a panel gets, as `load_nets` takes them."""
        chosen = {role: getattr(self, role) or default for role, default in DEFAULT_NETWORKS.items()}
        for role in ("embedder", "held_out"):
            if is_path(chosen[role]):  # a panel may live in a process that has another working folder
                chosen[role] = str(Path(chosen[role]).resolve())
        return chosen
