"""What can be checked of the settings before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from anonymizers import Word
from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS, objectives_of
from evaluators.networks.catalog.choice import BACKBONES, INCEPTION, Networks, check_networks, is_pulled
from evaluators.networks.catalog.pulling import pulled_folder
from evaluators.networks.signals import check_signals
from evaluators.options import changed, check_values
from orchestrator.records.copies import place_of
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.study import FIRST, population
from search_spaces import SearchSpace

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


def check(
    settings: Settings, faces: FaceChoice, networks: Networks | None, machines: Machines, space: SearchSpace
) -> dict[str, str]:
    """Check what can be checked before anything is loaded.

    Args:
        settings, faces, machines: of the search.
        networks: real ones; None for the demo's.
        space: that is searched.

    Returns:
        The objectives with their directions.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    for group in (settings, faces, machines):
        check_values(group)
    if settings.copy_to is not None:
        place_of(settings.copy_to)
    check_attackers(settings.attackers)
    directions = objectives_of(settings.objectives)
    if not 2 <= len(directions) <= 3 or len(directions) != len(settings.objectives):
        raise ValueError(f"--objective: expected two or three different metrics, got {', '.join(settings.objectives)}")
    for name in directions:
        if name in unmeasured(settings, faces, networks):
            raise ValueError(
                f"--objective {name}: cannot be measured on the {faces.world} faces; choose another metric"
            )
        if name == "psnr":
            raise ValueError("--objective psnr: has no value for identical pictures; choose mse, which orders alike")
    models = None if networks is None else networks.folder
    if networks is not None:
        if not networks.folder.is_dir():
            raise ValueError(f"--models: expected a folder of networks, {models} is none")
        check_networks(networks)
    for example in space.examples():
        example.network(models)
    if models is not None:
        check_signals(models, (*space.signals, *Word.needs))
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")
    if machines.device == "cuda" and machines.backend == "inprocess" and not torch.cuda.is_available():
        raise ValueError("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
    return directions


def real_networks(faces: FaceChoice, networks: Networks) -> Networks | None:
    """Return the choice of networks with its folder; None on the demo world, which has its own.

    Raises:
        ValueError: if there are no such faces, no folder of networks for them, or real networks were chosen for the
            demo world.
    """
    if faces.data is not None and not faces.data.is_dir():
        raise ValueError(
            f"--data: expected a folder with one folder of pictures per person, or a prepared set, {faces.data} is none"
        )
    if faces.data is None:
        if given := changed(networks):
            raise ValueError(f"{given[0]}: a choice of real networks needs real faces; give their folder as --data")
        return None
    models = networks.models or pulled_folder()
    if models is None:
        raise ValueError(
            "--data: real faces need real networks; give their folder as --models, or pull them into the default one "
            "(python -m orchestrator.models list)"
        )
    return replace(networks, models=models)


def check_learns(sampler: str, space: SearchSpace, trials: int) -> None:
    """Check that a sampler that was chosen can learn something.

    Raises:
        ValueError: if it would only draw at random.
    """
    if space.configurations and sampler != "grid":
        raise ValueError(
            f"--sampler {sampler}: expected a space of ranges, {space.name} is a fixed list, which is tried whole "
            "in its order; leave --sampler out"
        )
    first = {"nsga2": population(trials), "gp": FIRST}.get(sampler, 0)
    if trials <= first:
        raise ValueError(
            f"--sampler {sampler}: its first {first} trials are random, and --trials {trials} are no more; give more, "
            "or --sampler tpe"
        )


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


def unmeasured(settings: Settings, faces: FaceChoice, networks: Networks | None) -> set[str]:
    """Return the metrics that cannot be objectives, on these faces and with these networks."""
    names = set(UNMEASURED[faces.world])
    names |= {f"rank{k}_{name}" for k in (1, 5, 10) for name in ATTACKERS if name not in settings.attackers}
    if networks is not None:
        if any(is_pulled(networks.folder, name) for name in BACKBONES):
            names -= {"lpips"}
        if is_pulled(networks.folder, INCEPTION):
            names -= {"fid", "kid"}
    return names
