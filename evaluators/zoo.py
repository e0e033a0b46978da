"""Zoo: which networks a panel gets, and how they are loaded; `published` says where their weights come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluators.networks.catalog.choice import (
    BACKBONES,
    BLENDSHAPES,
    INCEPTION,
    LANDMARKER,
    Networks,
    is_path,
    is_pulled,
)
from evaluators.networks.catalog.conventions import checked
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.loaders import (
    load_detector,
    load_embedder,
    load_inception,
    load_lpips,
    load_torch_embedder,
    published_facts,
)

if TYPE_CHECKING:
    import torch

    from evaluators.networks.roles import Describer, Differentiable, Nets, Perceptual, Teacher


def load_nets(
    networks: Networks | None,
    *,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    differentiable: bool = False,
    signals: Sequence[str] = (),
) -> Nets:
    """Load the networks of a panel.

    LPIPS and the Inception network of FID and KID join where their weights were pulled into the folder.

    Args:
        networks: choice of real networks; None for the demo networks that the project brings.
        device: where they live.
        threads: of ONNX Runtime, per network; None for as many as torch uses.
        differentiable: whether the embedder is wanted with gradients too; the demo's has them.
        signals: what generative methods are conditioned on, of SOURCES; the demo's faces bring theirs.

    Raises:
        ValueError: if a file is missing or has another digest than the zoo knows.
    """
    from evaluators.networks.perceptual import STLPIPS
    from evaluators.networks.roles import Nets

    st_lpips = STLPIPS().to(device)
    facts: dict[str, Any] = {
        "st_lpips": {
            "name": st_lpips.name,
            "sha256": st_lpips.digest,
            "terms": "BSD-2, from the package stlpips-pytorch",
        }
    }
    if networks is None:
        from evaluators.demo import nets as demo_nets
        from evaluators.demo.truth import TrueCoefficients

        demo, other = demo_nets.load_demo_embedder(device), demo_nets.load_demo_held_out(device)
        reader, second = demo_nets.load_demo_teacher(device), demo_nets.load_demo_second_teacher(device)
        roles = (("embedder", demo), ("held_out", other), ("teacher", reader), ("second teacher", second))
        for role, net in roles:
            facts[role] = {"name": net.name, "sha256": net.digest, "terms": "the project's own, trained on demo faces"}
        judges = (reader, second, TrueCoefficients())
        return Nets(
            demo, reader, (st_lpips,), None, other, facts, differentiable=demo, judges=judges, told_by="the renderer"
        )
    models, networks = networks.folder, networks.settled()
    real = load_models(networks, threads=threads, device=str(device))
    facts |= real["facts"]
    perceptual: list[Perceptual] = [st_lpips]
    backbone = next((name for name in BACKBONES if is_pulled(models, name)), None)
    if backbone is not None:
        perceptual.append(load_lpips(models, backbone).to(device))
        facts["lpips"] = published_facts(backbone)
    inception = None
    if is_pulled(models, INCEPTION):
        inception = load_inception(models).to(device)
        facts["inception"] = published_facts(INCEPTION)
    return Nets(
        real["embedder"],
        real["teacher"],
        tuple(perceptual),
        real["detector"],
        real["held_out"],
        facts,
        inception,
        real["backends"],
        _with_gradients(networks, real["embedder"], str(device)) if differentiable else None,
        models,
        _signals(networks, signals, threads, facts),
        _judges(networks, real["teacher"], threads, str(device), facts),
        networks.telling if "expression" in signals else "",
        real["second_embedder"],
    )


def load_models(networks: Networks, *, threads: int | None = None, device: str = "cpu") -> dict[str, Any]:
    """Load the real networks of a panel; the held-out embedder, which a search never asks, does not race.

    Args:
        networks: the choice.
        threads: of ONNX Runtime, per network.
        device: where they live.

    Returns:
        embedder, held_out and second_embedder (None where none is chosen), teacher, detector; `facts` about each, and
        `backends`, ready for JSON.

    Raises:
        ValueError: if a file is missing or another one than declared, or if PyTorch is asked for and does not say the
            same as ONNX Runtime.
    """
    from evaluators.networks.backends.onnx_nets import OnnxTeacher
    from evaluators.networks.backends.race import choose

    networks = networks.settled()
    folder, embedder, held_out, teacher = networks.folder, networks.embedder, networks.held_out, networks.teacher
    described, precision = networks.embedder_input, networks.precision

    def torch_teacher() -> Any:
        from evaluators.networks.backends.torch_nets import TorchTeacher

        return TorchTeacher(folder, teacher, device=device, precision=precision)

    openers: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "embedder": (
            lambda: load_embedder(folder, embedder, described, threads=threads, device=device),
            lambda: load_torch_embedder(folder, "--embedder", embedder, described, device, precision),
        ),
        "teacher": (
            lambda: OnnxTeacher(folder, teacher, threads=threads, device=device),
            torch_teacher,
        ),
    }
    if held_out is not None:
        openers["held_out"] = (
            lambda: load_embedder(folder, held_out, threads=threads, device=device, option="--held-out"),
            lambda: load_torch_embedder(folder, "--held-out", held_out, "", device, precision),
        )
    second = networks.second_embedder
    if second is not None:
        openers["second_embedder"] = (
            lambda: load_embedder(folder, second, threads=threads, device=device, option="--second-embedder"),
            lambda: load_torch_embedder(folder, "--second-embedder", second, "", device, precision),
        )
    loaded: dict[str, Any] = {}
    backends: dict[str, Any] = {}
    for role, (by_onnx, of_torch) in openers.items():
        wanted = "onnx" if networks.backend_nets == "auto" and role == "held_out" else networks.backend_nets
        loaded[role], choice = choose(by_onnx, of_torch, wanted=wanted, device=device, precision=precision)
        backends[role] = choice.describe()
    loaded["detector"] = load_detector(folder, networks.detector, threads=threads)
    facts = {
        role: {"name": net.name, "sha256": net.digest, "terms": net.convention.terms}
        for role, net in loaded.items()
        if role != "detector"
    }
    for role, name in (("embedder", embedder), ("held_out", held_out)):
        if name is not None and is_path(name):
            facts[role] |= {"path": name, "input": loaded[role].convention.describe()}
    if precision != "float32":  # it moves the numbers; the back end alone does not
        for role in facts:
            facts[role]["precision"] = precision
    facts["detector"] = {
        "name": loaded["detector"].name,
        "sha256": loaded["detector"].digest,
        "terms": f"{ZOO[networks.detector].family}: {ZOO[networks.detector].terms}",
    }
    return {"held_out": None, "second_embedder": None, **loaded, "facts": facts, "backends": backends}


def _judges(
    networks: Networks, teacher: Teacher, threads: int | None, device: str, facts: dict[str, Any]
) -> tuple[Teacher | Describer, ...]:
    """Load the judges, and note which networks they are; the first teacher may be one of them."""
    from evaluators.networks.backends.onnx_nets import OnnxTeacher
    from evaluators.networks.describers import Blendshapes

    judges: list[Teacher | Describer] = []
    for name in networks.judging:
        if name == teacher.name:
            judges.append(teacher)
        elif name == BLENDSHAPES:
            net = ZOO[LANDMARKER]
            path = checked(networks.folder / net.path, str(net.sha256))
            judges.append(Blendshapes(path, threads=threads or 2))
            facts[f"judge_{name}"] = {"name": net.name, "sha256": net.sha256, "terms": net.terms}
        else:
            made = OnnxTeacher(networks.folder, name, threads=threads, device=device)
            judges.append(made)
            facts[f"judge_{name}"] = {"name": name, "sha256": made.digest, "terms": made.convention.terms}
    return tuple(judges)


def _signals(
    networks: Networks, names: Sequence[str], threads: int | None, facts: dict[str, Any]
) -> Mapping[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Load what measures signals, and note which networks they are."""
    if not names:
        return {}
    from evaluators.networks.catalog.downloads import digest_of
    from evaluators.networks.signals import load_signals, measured_by

    loaded = load_signals(networks.folder, names, threads=threads, teller=networks.teller)
    for name in names:
        net = ZOO[measured_by(networks.folder, name, networks.teller)]
        facts[name] = {"name": net.name, "sha256": digest_of(networks.folder / net.path), "terms": net.terms}
    return loaded


def _with_gradients(networks: Networks, loaded: Any, device: str) -> Differentiable:
    """Load an embedder once more by PyTorch, in single precision, after it was seen to say the same."""
    from evaluators.networks.backends.race import choose
    from evaluators.networks.backends.torch_nets import PRECISIONS, TorchEmbedder

    if isinstance(loaded, TorchEmbedder) and loaded.dtype == PRECISIONS["float32"]:
        return loaded
    net: Differentiable
    net, _ = choose(
        lambda: loaded,
        lambda: load_torch_embedder(
            networks.folder, "--embedder", networks.embedder, networks.embedder_input, device, "float32"
        ),
        wanted="torch",
        device=device,
    )
    return net
