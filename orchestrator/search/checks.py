"""What can be checked of the settings before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS, objectives_of
from evaluators.networks.backends.race import AGREEMENT, CHOICES
from evaluators.networks.catalog.choice import BACKBONES, DEFAULT_NETWORKS, INCEPTION, check_networks, is_pulled
from evaluators.networks.signals import check_signals
from orchestrator.records.copies import place_of
from orchestrator.search.settings import BACKENDS, DEVICES, Settings
from orchestrator.sweep.study import SAMPLERS

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
