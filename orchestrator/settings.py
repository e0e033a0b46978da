"""Settings of a run: its options, and what of them can be checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluators.attackers import ATTACKERS, SEARCHING
from evaluators.backends import AGREEMENT, CHOICES
from evaluators.metrics import METRICS, objectives_of
from evaluators.signals import check_signals
from evaluators.zoo import BACKBONES, DEFAULT_NETWORKS, INCEPTION, check_networks, is_path, is_pulled
from orchestrator.copies import copy_in, place_of
from orchestrator.study import SAMPLERS
from search_spaces import SearchSpace

DEFAULT_OBJECTIVES = ("rank1_worst", "expression_kappa_adapted")
BACKENDS = ("ray", "inprocess")
DEVICES = ("auto", "cpu", "cuda")
LEDGER = "ledger.arrow"
LOG = "log.jsonl"

WITH_DETECTOR = ("detection_rate", "landmark_nme", *(name for name in METRICS if name.endswith("_redetected")))
OF_SIGNALS = ("signal_share", "signal_nme")
"""Quality of what conditions a method, which methods without signals do not have."""
UNMEASURED = {
    "demo": (
        "tar_at_far_1e4",
        "fnir_at_fpir_1e2",
        "lpips",
        "ms_ssim",
        "fid",
        "kid",
        *WITH_DETECTOR,
        *OF_SIGNALS,
    ),
    "folder": ("lpips", "ms_ssim", "fid", "kid", "expression_accuracy", "expression_macro_f1", *OF_SIGNALS),
}
"""Metrics without their network, size or labels: the backbones of LPIPS and FID must be pulled first, crops of 112 px
are too small for five scales, the demo has too few pairs and strangers for the lowest rates and no detector, a folder
of people has no expression labels, and the held-out attacker stays out of the search."""


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


def check(settings: Settings) -> dict[str, str]:
    """Check what can be checked before anything is loaded.

    Returns:
        The objectives with their directions.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    if settings.trials < 1:
        raise ValueError(f"--trials: expected at least 1, got {settings.trials}")
    if settings.time_budget is not None and not settings.time_budget > 0:
        raise ValueError(f"--time-budget: expected more than 0 s, got {settings.time_budget:g}")
    if settings.copy_to is not None:
        place_of(settings.copy_to)
    if settings.max_faces is not None and settings.max_faces < 1:
        raise ValueError(f"--max-faces: expected at least 1, got {settings.max_faces}")
    if settings.seed < 0:
        raise ValueError(f"--seed: expected 0 or more, got {settings.seed}")
    for option, value, known in (
        ("--backend", settings.backend, BACKENDS),
        ("--device", settings.device, DEVICES),
        ("--sampler", settings.sampler or "tpe", SAMPLERS),
        ("--backend-nets", settings.backend_nets, CHOICES),
        ("--precision", settings.precision, AGREEMENT),
    ):
        if value not in known:
            raise ValueError(f"{option}: expected one of {', '.join(known)}, got {value!r}")
    if settings.precision != "float32" and settings.backend_nets != "torch":
        raise ValueError(
            f"--precision {settings.precision}: only PyTorch's networks run in it, and two back ends in two precisions "
            "would not give the same numbers; give --backend-nets torch too"
        )
    check_attackers(settings.attackers)
    if settings.gpus_per_panel is not None and settings.gpus_per_panel < 0:
        raise ValueError(f"--gpus-per-panel: expected 0, more, or auto, got {settings.gpus_per_panel:g}")
    if settings.panels is not None and settings.panels < 1:
        raise ValueError(f"--panels: expected at least 1, got {settings.panels}")
    directions = objectives_of(settings.objectives)
    if not 2 <= len(directions) <= 3 or len(directions) != len(settings.objectives):
        raise ValueError(f"--objective: expected two or three different metrics, got {', '.join(settings.objectives)}")
    for name in directions:
        if name in unmeasured(settings):
            raise ValueError(
                f"--objective {name}: cannot be measured on the {settings.world} faces; choose another metric"
            )
        if name == "psnr":
            raise ValueError("--objective psnr: has no value for identical pictures; choose mse, which orders alike")
    if settings.data is not None and not settings.data.is_dir():
        raise ValueError(
            f"--data: expected a folder with one folder of pictures per person, or a prepared set, {settings.data} is "
            "none"
        )
    if settings.data is not None and settings.models is None:
        raise ValueError(
            "--data: real faces need real networks; give their folder as --models, or pull them into the default one "
            "(python -m orchestrator.models list)"
        )
    if settings.models is not None and settings.data is None:
        raise ValueError("--models: real networks need real faces; give their folder as --data")
    if settings.models is not None and not settings.models.is_dir():
        raise ValueError(f"--models: expected a folder of networks, {settings.models} is none")
    if settings.models is not None:
        check_networks(**settings.networks)
    else:
        for role in DEFAULT_NETWORKS:
            if getattr(settings, role) is not None:
                raise ValueError(f"--{role.replace('_', '-')}: a choice of real networks needs real faces; give --data")
        if settings.backend_nets != "auto":
            raise ValueError(
                "--backend-nets: the demo networks are PyTorch's; the choice needs real faces, give --data"
            )
    for example in settings.space.examples():
        example.network(settings.models)
    if settings.models is not None:
        check_signals(settings.models, settings.space.signals)
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")
    if settings.device == "cuda" and settings.backend == "inprocess" and not torch.cuda.is_available():
        raise ValueError("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
    return directions


def check_attackers(names: Sequence[str]) -> None:
    """Check a choice of attackers.

    Raises:
        ValueError: if one is not known or chosen twice, or the fixed one, against whom the others are checked, is
            missing.
    """
    if unknown := [name for name in names if name not in ATTACKERS]:
        raise ValueError(f"--attacker: expected some of {', '.join(ATTACKERS)}, got {', '.join(unknown)}")
    if len(set(names)) < len(names):
        raise ValueError(f"--attacker: expected different attackers, got {', '.join(names)}")
    if "fixed" not in names:
        raise ValueError(
            f"--attacker: expected fixed among them, got {', '.join(names)}; he shows what clear faces give, which the "
            "adaptive ones must reach"
        )


def unmeasured(settings: Settings) -> set[str]:
    """Return the metrics that cannot be objectives, on these faces and with these networks."""
    names = set(UNMEASURED[settings.world])
    names |= {f"rank{k}_{name}" for k in (1, 5, 10) for name in ATTACKERS if name not in settings.attackers}
    if settings.models is not None:
        if any(is_pulled(settings.models, name) for name in BACKBONES):
            names -= {"lpips"}
        if is_pulled(settings.models, INCEPTION):
            names -= {"fid", "kid"}
    return names


def results_folder(settings: Settings) -> Path:
    """Choose, check and make the results folder.

    Raises:
        ValueError: if it holds a sweep and neither --resume nor --overwrite was given, if there is nothing to resume,
            or if it cannot be written.
    """
    folder = settings.out
    if folder is None:
        name = f"{settings.data.name if settings.data else 'demo'}-{settings.space.name}"
        folder = Path("results") / name
        number = 2
        while folder.exists() and not (settings.resume or settings.overwrite):
            folder = Path("results") / f"{name}-{number}"
            number += 1
    if folder.exists() and any(folder.iterdir()) and not (settings.resume or settings.overwrite):
        raise ValueError(f"--out: {folder} holds results already; give --resume, --overwrite or another folder")
    if settings.resume and settings.copy_to and not (folder / LEDGER).is_file():
        copy_in(settings.copy_to, folder)
    if settings.resume and not (folder / LEDGER).is_file():
        raise ValueError(f"--resume: expected {folder / LEDGER}, which is not there; leave --resume out to start anew")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"--out: expected a folder that can be written, {folder}: {error.strerror}") from None
    return folder
