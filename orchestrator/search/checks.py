"""What can be checked of the settings before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.metrics import METRICS, objectives_of
from evaluators.metrics.constraints import constraints_of
from evaluators.networks.catalog.choice import (
    BACKBONES,
    BLENDSHAPES,
    INCEPTION,
    Networks,
    check_files,
    check_networks,
    how_to_get,
    is_path,
    is_pulled,
)
from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.catalog.onnx_file import damage, whole_digest
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.catalog.pulling import pulled_folder
from evaluators.options import changed, check_values, lasting, refuse_idle
from orchestrator.cluster.environment import answering, set_environment
from orchestrator.prepare.options import FACES
from orchestrator.search.faces import FaceChoice
from orchestrator.search.folder import check_earlier, check_same, choose_folder, results_folder, resumed, space_before
from orchestrator.search.names import ATTACKER_NAMES, DEFAULT_SPACE, check_names, is_own_space
from orchestrator.search.settings import Machines, Settings, trials_of
from orchestrator.sweep.study import FIRST, GENETIC, population

if TYPE_CHECKING:
    from search_spaces import SearchSpace

SMALL = "aligned crops of 112 px are too small for its five scales"
UNMEASURED: dict[str, dict[str, str]] = {
    "demo": {
        **dict.fromkeys(
            ("tar_at_far_1e4", "fnir_at_fpir_1e2"), "the demo world has too few pairs and strangers for it"
        ),
        "ms_ssim": SMALL,
        **dict.fromkeys(("lpips", "fid", "kid"), "its network is of photographs; search on real faces, with --data"),
        **dict.fromkeys(
            ("detection_rate", "landmark_nme", *(name for name in METRICS if name.endswith("_redetected"))),
            "the demo world has no detector; search on real faces, with --data",
        ),
    },
    "folder": {
        "ms_ssim": SMALL,
        **dict.fromkeys(
            ("expression_accuracy", "expression_macro_f1"),
            "a folder of people has no expression labels, and where a prepared set has some, not of every face",
        ),
    },
}
"""Metrics that no choice of networks or attackers gives on these faces, and why."""
OF_SIGNALS = ("signal_share", "signal_nme")
"""Quality of what conditions a method, which methods without signals do not have."""
IDLE = {
    "demo": dict.fromkeys(
        ("real faces", "a folder of pictures"), "on the demo world, whose faces are fixed (--data names real ones)"
    ),
    "prepared": {"a folder of pictures": "on a prepared set, whose people are listed"},
    "inprocess": {"Ray": "with --backend inprocess"},
    "without of_family": {"of_family": "without the attacker of_family"},
}
"""Where options do nothing, and why."""


def checked(settings: Settings, faces: FaceChoice, networks: Networks, machines: Machines) -> Settings:
    """Check what can be checked before what searches and measures is imported, so that a refusal comes at once.

    Args:
        settings, faces, networks, machines: of the search.

    Returns:
        The settings, with the results folder, which is made.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    check_names(settings)
    chosen = real_networks(faces, networks, settings.attackers)
    check(settings, faces, chosen, machines)
    check_answers(machines)
    if settings.storage is not None:
        from orchestrator.sweep.sampling.mirror import check_storage  # Optuna's, which most searches do without

        check_storage(settings.storage)
    if faces.data is not None and not (faces.data / FACES).is_file():
        from evaluators.datasets.sources.opening import read_people  # NumPy, which the demo world does without here

        read_people(faces.data, faces.depth)
    if chosen is not None:
        check_files(chosen)
    space_name = settings.space or space_before(settings) or DEFAULT_SPACE
    before = None
    if not is_own_space(space_name):
        settings = replace(settings, out=choose_folder(settings, f"{faces.name}-{space_name}"))
    if settings.out is not None:
        before = resumed(settings, settings.out)
    if before is not None:
        if chosen is not None:
            check_same_networks(before, chosen)
        given = {} if settings.space is None else {"--space": settings.space}
        check_same(before, {"options": {**given, **lasting(settings, faces)}})
    from search_spaces import load_space  # torch

    space = load_space(space_name)
    check_methods(space, chosen)
    sampler = settings.sampler or ("grid" if space.configurations else "tpe")
    check_learns(sampler, space, trials_of(settings, faces, before))
    return replace(settings, out=results_folder(settings, f"{faces.name}-{space.name}"))


def check_same_networks(before: Mapping[str, Any], networks: Networks) -> None:
    """Refuse to go on with another network than the sweep had, by the files that lie here, before one is loaded."""
    for role in ("embedder", "held_out", "second_embedder", "teacher"):
        name, was = getattr(networks, role), before["models"].get(role)
        if name is None or was is None:
            continue  # what a panel says of itself is compared too, once it stands
        now = whole_digest(Path(name)) if is_path(name) else digest_of(networks.folder / ZOO[name].path)
        if now != was["sha256"]:
            raise ValueError(
                f"--resume: the sweep in this folder has another {role.replace('_', '-')} network: {was['name']} of "
                f"SHA-256 {was['sha256'][:12]}…, now {name} of {now[:12]}…; give that one, or start anew"
            )


def check(settings: Settings, faces: FaceChoice, networks: Networks | None, machines: Machines) -> dict[str, str]:
    """Check what can be checked before anything is loaded.

    Args:
        settings, faces, machines: of the search.
        networks: real ones; None for the demo's.

    Returns:
        The objectives with their directions.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    for group in (settings, faces, machines):
        check_values(group)
    refuse_idle(idle(settings, faces, machines.backend), settings, faces, machines)
    if settings.copy_to is not None:
        from orchestrator.records.copies import place_of  # fsspec, which most searches do without

        place_of(settings.copy_to)
    check_names(settings)
    directions = objectives_of(settings.objectives)
    for name in directions:
        if why := unmeasured(settings, faces, networks).get(name):
            raise ValueError(f"--objective {name}: cannot be measured here: {why}")
        if name == "psnr":
            raise ValueError("--objective psnr: has no value for identical pictures; choose mse, which orders alike")
    if settings.warm_start is not None:
        check_earlier(settings.warm_start)
    if faces.groups is not None:
        from evaluators.datasets.sources.groups import read_people_table  # torch, which most refusals do without

        read_people_table(faces.groups)
    for one in constraints_of(settings.constraints):
        if why := unmeasured(settings, faces, networks).get(one.metric):
            raise ValueError(f"--constraint {one.metric}: cannot be measured here: {why}")
        if one.metric == "psnr":
            raise ValueError("--constraint psnr: has no value for identical pictures; choose mse, which orders alike")
    models = None if networks is None else networks.folder
    if networks is not None:
        if not networks.folder.is_dir():
            raise ValueError(f"--models: expected a folder of networks, {models} is none")
        check_networks(networks)
    if machines.backend == "inprocess" or machines.address in (None, "local"):  # panels would be on this machine
        check_device(machines.device)
    return directions


def check_methods(space: SearchSpace, networks: Networks | None) -> None:
    """Check that the networks of a space's methods are there, and that somebody judges whom they are not told by.

    Raises:
        ValueError: if one is not; the sentence names its file, or the option.
    """
    models = None if networks is None else networks.folder
    if networks is not None and "coefficients" in space.signals and set(networks.judging) == {BLENDSHAPES}:
        raise ValueError(
            f"--judge {BLENDSHAPES}: expected a judge who does not tell the methods what to show, got him alone by "
            f"whom {space.name} has methods told; name another judge too"
        )
    for example in space.examples():
        path = example.network(models)
        if path is not None and (what := damage(path)):
            raise ValueError(f"{example.method}: expected its network in {path}, {what}")


def idle(settings: Settings, faces: FaceChoice, backend: str = "") -> dict[str, str]:
    """Return what options may need that is not here, and why: those that need it do nothing."""
    here = (
        faces.world,
        backend,
        "prepared" if faces.data and (faces.data / FACES).is_file() else "",
        "" if "of_family" in settings.attackers else "without of_family",
    )
    return {need: why for one in here for need, why in IDLE.get(one, {}).items()}


def check_answers(machines: Machines) -> None:
    """Check that a cluster answers where one was named, before any face is loaded.

    Raises:
        ValueError: if none does.
    """
    if machines.backend == "ray" and machines.address not in (None, "local"):
        assert machines.address is not None
        set_environment()  # before Ray is imported
        answering(machines.address)


def check_device(device: str) -> None:
    """Check that a GPU that was asked for is here.

    Raises:
        ValueError: if it is not.
    """
    if not device.startswith("cuda"):
        return
    import torch  # which most refusals do without

    if not torch.cuda.is_available():
        raise ValueError(f"--device {device}: expected a GPU that torch sees, got none; use --device cpu")


def real_networks(faces: FaceChoice, networks: Networks, attackers: Sequence[str] = ()) -> Networks | None:
    """Return the choice of networks with its folder; None on the demo world, which has its own.

    Args:
        faces: which they look at.
        networks: as chosen.
        attackers: among whom `held_out` needs a network of his own, the default one where none was chosen.

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
            "--data: real faces need real networks; python -m orchestrator.models pull gets them, --models names a "
            "folder that holds some"
        )
    return replace(networks, models=models).settled(held_out="held_out" in attackers)


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
    first = {**dict.fromkeys(GENETIC, population(trials)), "gp": FIRST["gp"]}.get(sampler, 0)
    if trials <= first:
        raise ValueError(
            f"--sampler {sampler}: its first {first} trials are random, and --trials {trials} are no more; give more, "
            "or --sampler tpe"
        )


def unmeasured(settings: Settings, faces: FaceChoice, networks: Networks | None) -> dict[str, str]:
    """Return the metrics that cannot be objectives, on these faces, with these networks and attackers -> why not."""
    reasons = dict(UNMEASURED[faces.world])
    reasons |= dict.fromkeys(OF_SIGNALS, "methods that are told no signals have no such value")
    for name in ATTACKER_NAMES:
        if name not in settings.attackers:
            given = " ".join(f"--attacker {one}" for one in (*settings.attackers, name))
            reasons |= {f"rank{k}_{name}": f"{name} is not among the attackers; give {given}" for k in (1, 5, 10)}
    if networks is not None:
        for names, needed in ((("lpips",), BACKBONES), (("fid", "kid"), (INCEPTION,))):
            if not any(is_pulled(networks.folder, name) for name in needed):
                why = f"its network is not in {networks.folder}; {how_to_get(needed[0], networks.folder)}"
                reasons |= dict.fromkeys(names, why)
    return reasons
