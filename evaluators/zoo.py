"""Zoo: which networks a panel gets, and how they are loaded; `published` says where their weights come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.conventions import (
    DETECTOR,
    DETECTOR_SHA256,
    EMBEDDERS,
    INSIGHTFACE,
    RESEARCH,
    TEACHERS,
    checked,
    convention_of,
)
from evaluators.published import ZOO

if TYPE_CHECKING:
    import torch

    from evaluators.detection import Scrfd
    from evaluators.inception import FidInception
    from evaluators.nets import Differentiable, Nets, Perceptual
    from evaluators.onnx_nets import OnnxEmbedder
    from evaluators.perceptual import LPIPS
    from evaluators.torch_nets import TorchEmbedder

BACKBONES = ("lpips_alex", "lpips_squeeze", "lpips_vgg")
"""LPIPS' backbones; the first that was pulled is measured with."""
INCEPTION = "fid_inception"
DETECTOR_NAME = "scrfd_2.5g"
DEFAULT_NETWORKS = {
    "embedder": "edgeface_xs",
    "held_out": "mobilefacenet_192",
    "teacher": "facex",
    "embedder_input": "",
}


def is_path(name: str) -> bool:
    """Tell the path of an ONNX file from a name of the zoo."""
    return name.endswith(".onnx")


def check_networks(*, embedder: str, held_out: str, teacher: str, embedder_input: str = "") -> None:
    """Check a choice of networks before anything is loaded.

    Args:
        embedder, held_out: names in EMBEDDERS, or paths of ArcFace-style ONNX files.
        teacher: name in TEACHERS.
        embedder_input: how the embedder at a path is fed, see `convention_of`.

    Raises:
        ValueError: if a name is not known, a path leads nowhere, or the held-out embedder is of the family of the one
            that is searched with. The sentence names the option.
    """
    if embedder_input and not is_path(embedder):
        raise ValueError(f"--embedder-input: expected --embedder to be the path of an ONNX file, got {embedder!r}")
    if is_path(embedder):
        convention_of("--embedder", Path(embedder), embedder_input)
    if is_path(held_out):
        convention_of("--held-out", Path(held_out))
    for option, name, table in (
        ("--embedder", embedder, EMBEDDERS),
        ("--held-out", held_out, EMBEDDERS),
        ("--teacher", teacher, TEACHERS),
    ):
        if table is EMBEDDERS and is_path(name):
            continue
        if name not in table:
            also = ", or the path of an ONNX file" if table is EMBEDDERS else ""
            raise ValueError(f"{option}: expected one of {', '.join(table)}{also}, got {name!r}")
    families = [str(Path(name).resolve()) if is_path(name) else ZOO[name].family for name in (embedder, held_out)]
    if families[0] == families[1]:
        raise ValueError(
            f"--held-out {held_out}: expected another family than that of --embedder {embedder}, got {families[0]} "
            "twice; a front that was found against one network is checked against one of another lineage"
        )


def check_files(folder: Path, *, embedder: str, held_out: str, teacher: str, embedder_input: str = "") -> None:
    """Check that the files of a choice of networks and the detector's are in a folder of models.

    Raises:
        ValueError: if one is missing; the sentence says how to get it.
    """
    for name in (DETECTOR_NAME, embedder, held_out, teacher):
        if name in ZOO and not is_pulled(folder, name):
            how = f"python -m orchestrator.models pull {name} gets it" if ZOO[name].urls else ZOO[name].source
            raise ValueError(f"--models: expected {folder / ZOO[name].path}, which is missing; {how}")


def load_nets(
    models: Path | None,
    *,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    embedder: str = "edgeface_xs",
    held_out: str = "mobilefacenet_192",
    teacher: str = "facex",
    embedder_input: str = "",
    backend: str = "onnx",
    precision: str = "float32",
    differentiable: bool = False,
    signals: Sequence[str] = (),
) -> Nets:
    """Load the networks of a panel.

    LPIPS and the Inception network of FID and KID join where their weights were pulled into the folder.

    Args:
        models: folder with real networks; None for the demo networks that the project brings.
        device: where they live.
        threads: of ONNX Runtime, per network; None for as many as torch uses.
        embedder, held_out, teacher, embedder_input: of the real networks, see `check_networks`.
        backend, precision: of the real networks, see `load_models`.
        differentiable: whether the embedder is wanted with gradients too; the demo's has them.
        signals: what generative methods are conditioned on, of SOURCES; the demo's faces bring theirs.

    Raises:
        ValueError: if a file is missing or has another digest than the zoo knows.
    """
    from evaluators.nets import Nets
    from evaluators.perceptual import STLPIPS

    st_lpips = STLPIPS().to(device)
    facts: dict[str, Any] = {
        "st_lpips": {
            "name": st_lpips.name,
            "sha256": st_lpips.digest,
            "terms": "BSD-2, from the package stlpips-pytorch",
        }
    }
    if models is None:
        from evaluators.demo_nets import load_demo_embedder, load_demo_held_out, load_demo_teacher

        demo, other, reader = load_demo_embedder(device), load_demo_held_out(device), load_demo_teacher(device)
        for role, net in (("embedder", demo), ("held_out", other), ("teacher", reader)):
            facts[role] = {"name": net.name, "sha256": net.digest, "terms": "the project's own, trained on demo faces"}
        return Nets(demo, reader, (st_lpips,), None, other, facts, differentiable=demo)
    real = load_models(
        models,
        threads=threads,
        device=str(device),
        embedder=embedder,
        held_out=held_out,
        teacher=teacher,
        embedder_input=embedder_input,
        backend=backend,
        precision=precision,
    )
    facts |= real["facts"]
    perceptual: list[Perceptual] = [st_lpips]
    backbone = next((name for name in BACKBONES if is_pulled(models, name)), None)
    if backbone is not None:
        perceptual.append(load_lpips(models, backbone).to(device))
        facts["lpips"] = _published(backbone)
    inception = None
    if is_pulled(models, INCEPTION):
        inception = load_inception(models).to(device)
        facts["inception"] = _published(INCEPTION)
    return Nets(
        real["embedder"],
        real["teacher"],
        tuple(perceptual),
        real["detector"],
        real["held_out"],
        facts,
        inception,
        real["backends"],
        _with_gradients(models, real["embedder"], embedder, embedder_input, str(device)) if differentiable else None,
        models,
        _signals(models, signals, threads, facts),
    )


def networks_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice of networks that led to the facts of `load_nets`, for loading the same ones again.

    Args:
        facts: about real networks, as tables keep them.
    """
    chosen = {role: facts[role].get("path", facts[role]["name"]) for role in ("embedder", "held_out", "teacher")}
    fed = facts["embedder"].get("input", {})
    return {**chosen, "embedder_input": ",".join(f"{key}={value}" for key, value in fed.items())}


def is_pulled(folder: Path, name: str) -> bool:
    """Tell whether a network of the zoo is in a folder of models."""
    return (folder / ZOO[name].path).is_file()


def load_lpips(folder: Path, name: str) -> LPIPS:
    """Load LPIPS on a backbone of BACKBONES.

    Raises:
        ValueError: if the backbone is missing or another file than declared.
    """
    from evaluators.perceptual import LPIPS

    return LPIPS(name.removeprefix("lpips_"), _state(folder, name))


def load_inception(folder: Path) -> FidInception:
    """Load the Inception network that FID and KID are defined on.

    Raises:
        ValueError: if it is missing or another file than declared.
    """
    from evaluators.inception import FidInception

    return FidInception(_state(folder, INCEPTION))


def load_detector(folder: Path, *, threads: int | None = None) -> Scrfd:
    """Load the SCRFD detector of a folder of models."""
    from evaluators.detection import Scrfd  # insightface and ONNX Runtime: a second that the demo does without

    return Scrfd(checked(folder / DETECTOR, DETECTOR_SHA256), threads=threads)


def load_embedder(
    folder: Path, name: str, embedder_input: str = "", *, threads: int | None = None, device: str = "cpu"
) -> OnnxEmbedder:
    """Load an embedder by its name, or an ArcFace-style ONNX file by its path.

    Raises:
        ValueError: if a file is missing or another one than declared, or if insightface feeds a network of its packs
            otherwise than declared.
    """
    from evaluators.onnx_nets import OnnxEmbedder

    if is_path(name):
        convention = convention_of("--embedder", Path(name), embedder_input)
        return OnnxEmbedder(folder, Path(name).stem, convention, threads=threads, device=device)
    if name in INSIGHTFACE:
        from evaluators.insightface_files import confirm

        confirm(folder, INSIGHTFACE[name])
    return OnnxEmbedder(folder, name, threads=threads, device=device)


def load_models(
    folder: Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    embedder: str = "edgeface_xs",
    held_out: str = "mobilefacenet_192",
    teacher: str = "facex",
    embedder_input: str = "",
    backend: str = "onnx",
    precision: str = "float32",
) -> dict[str, Any]:
    """Load the real networks of a panel.

    Args:
        folder: of models.
        threads: of ONNX Runtime, per network.
        device: where they live.
        embedder, held_out, teacher, embedder_input: see `check_networks`.
        backend: onnx, torch, or auto for the faster one; the held-out embedder, which a search never asks, does not
            race.
        precision: of PyTorch's.

    Returns:
        embedder, held_out, teacher, detector; `facts` about each, and `backends`, ready for JSON.

    Raises:
        ValueError: if a file is missing or another one than declared, or if PyTorch is asked for and does not say the
            same as ONNX Runtime.
    """
    from evaluators.backends import choose
    from evaluators.onnx_nets import OnnxTeacher

    def torch_teacher() -> Any:
        from evaluators.torch_nets import TorchTeacher

        return TorchTeacher(folder, teacher, device=device, precision=precision)

    openers: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "embedder": (
            lambda: load_embedder(folder, embedder, embedder_input, threads=threads, device=device),
            lambda: _torch_embedder(folder, "--embedder", embedder, embedder_input, device, precision),
        ),
        "held_out": (
            lambda: load_embedder(folder, held_out, threads=threads, device=device),
            lambda: _torch_embedder(folder, "--held-out", held_out, "", device, precision),
        ),
        "teacher": (
            lambda: OnnxTeacher(folder, teacher, threads=threads, device=device),
            torch_teacher,
        ),
    }
    loaded: dict[str, Any] = {}
    backends: dict[str, Any] = {}
    for role, (by_onnx, of_torch) in openers.items():
        wanted = "onnx" if backend == "auto" and role == "held_out" else backend
        loaded[role], choice = choose(by_onnx, of_torch, wanted=wanted, device=device, precision=precision)
        backends[role] = choice.describe()
    loaded["detector"] = load_detector(folder, threads=threads)
    facts = {
        role: {"name": net.name, "sha256": net.digest, "terms": net.convention.terms}
        for role, net in loaded.items()
        if role != "detector"
    }
    for role, name in (("embedder", embedder), ("held_out", held_out)):
        if is_path(name):
            facts[role] |= {"path": name, "input": loaded[role].convention.describe()}
    if precision != "float32":  # it moves the numbers; the back end alone does not
        for role in facts:
            facts[role]["precision"] = precision
    facts["detector"] = {
        "name": loaded["detector"].name,
        "sha256": DETECTOR_SHA256,
        "terms": f"InsightFace: {RESEARCH}",
    }
    return {**loaded, "facts": facts, "backends": backends}


def _signals(
    folder: Path, names: Sequence[str], threads: int | None, facts: dict[str, Any]
) -> Mapping[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Load what measures signals, and note which networks they are."""
    if not names:
        return {}
    from evaluators.downloads import digest_of
    from evaluators.signals import available, load_signals

    loaded = load_signals(folder, names, threads=threads)
    for name in names:
        net = ZOO[str(available(folder, name))]
        facts[name] = {"name": net.name, "sha256": digest_of(folder / net.path), "terms": net.terms}
    return loaded


def _with_gradients(folder: Path, loaded: Any, name: str, described: str, device: str) -> Differentiable:
    """Load an embedder once more by PyTorch, in single precision, after it was seen to say the same."""
    from evaluators.backends import choose
    from evaluators.torch_nets import PRECISIONS, TorchEmbedder

    if isinstance(loaded, TorchEmbedder) and loaded.dtype == PRECISIONS["float32"]:
        return loaded
    net: Differentiable
    net, _ = choose(
        lambda: loaded,
        lambda: _torch_embedder(folder, "--embedder", name, described, device, "float32"),
        wanted="torch",
        device=device,
    )
    return net


def _torch_embedder(folder: Path, option: str, name: str, described: str, device: str, precision: str) -> TorchEmbedder:
    """Load by PyTorch what `load_embedder` loads by ONNX Runtime."""
    from evaluators.torch_nets import TorchEmbedder

    named = convention_of(option, Path(name), described) if is_path(name) else None
    return TorchEmbedder(folder, Path(name).stem if named else name, named, device=device, precision=precision)


def _state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a PyTorch file; nothing else is unpickled."""
    import torch

    model = ZOO[name]
    assert model.sha256 is not None
    path = checked(folder / model.path, model.sha256)
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _published(name: str) -> dict[str, Any]:
    """Return the facts of a network of the zoo, as they go into tables and report."""
    return {"name": name, "sha256": ZOO[name].sha256, "terms": ZOO[name].terms}
