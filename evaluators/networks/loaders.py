"""Loaders: one function for each kind of network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.networks.catalog.choice import DETECTORS, INCEPTION, Networks, is_path, is_pulled
from evaluators.networks.catalog.conventions import INSIGHTFACE, checked, convention_of
from evaluators.networks.catalog.published import ZOO

if TYPE_CHECKING:
    import torch

    from evaluators.networks.backends.onnx_nets import OnnxEmbedder
    from evaluators.networks.backends.torch_nets import TorchEmbedder
    from evaluators.networks.detection import FaceDetector
    from evaluators.networks.inception import FidInception
    from evaluators.networks.perceptual import LPIPS


def load_lpips(folder: Path, name: str) -> LPIPS:
    """Load LPIPS on a backbone of BACKBONES.

    Raises:
        ValueError: if the backbone is missing or another file than declared.
    """
    from evaluators.networks.perceptual import LPIPS

    return LPIPS(name.split("_")[1], state_of(folder, name))


def load_inception(folder: Path) -> FidInception:
    """Load the Inception network that FID and KID are defined on.

    Raises:
        ValueError: if it is missing or another file than declared.
    """
    from evaluators.networks.inception import FidInception

    return FidInception(state_of(folder, INCEPTION))


def load_detector(
    folder: Path, name: str = "", *, threads: int | None = None, threshold: float | None = None
) -> FaceDetector:
    """Load a detector of DETECTORS by its name; "" for the first of them that is in the folder of models.

    Args:
        folder: of models.
        name: of the detector.
        threads: of ONNX Runtime.
        threshold: score from which on something is a face; None for the one that measurements are made with.

    Raises:
        ValueError: if its file is missing or another one than declared.
    """
    from evaluators.networks import detection  # insightface and ONNX Runtime: a second that the demo does without

    name = name or next((one for one in DETECTORS if is_pulled(folder, one)), DETECTORS[0])
    made = {"scrfd_2.5g": detection.Scrfd, "centerface": detection.CenterFace}[name]
    path = checked(folder / ZOO[name].path, *ZOO[name].digests)
    return made(path, threads=threads, threshold=detection.THRESHOLD if threshold is None else threshold)


def load_embedder(
    folder: Path,
    name: str,
    embedder_input: str = "",
    *,
    threads: int | None = None,
    device: str = "cpu",
    option: str = "--embedder",
) -> OnnxEmbedder:
    """Load an embedder by its name, or an ArcFace-style ONNX file by its path.

    Raises:
        ValueError: if a file is missing or another one than declared, or if insightface feeds a network of its packs
            otherwise than declared.
    """
    from evaluators.networks.backends.onnx_nets import OnnxEmbedder

    if is_path(name):
        convention = convention_of(option, Path(name), embedder_input)
        net = OnnxEmbedder(folder, Path(name).stem, convention, threads=threads, device=device)
        if not convention.batch and not _takes_any_batch(net):
            one = replace(convention, batch=1)  # whatever its input says, its graph was made for one picture
            net = OnnxEmbedder(folder, net.name, one, threads=threads, device=device)
        return net
    if name in INSIGHTFACE:
        from evaluators.networks.backends.insightface_files import confirm

        confirm(folder, INSIGHTFACE[name])
    return OnnxEmbedder(folder, name, threads=threads, device=device)


def try_networks(networks: Networks) -> None:
    """Verify the files of a choice of networks, and run pictures through the user's own, before anything else is done.

    Raises:
        ValueError: if one is another file than declared, does not open, or does not answer with an embedding of each
            picture.
    """
    networks = networks.settled()
    for name in (
        networks.detector,
        networks.embedder,
        networks.held_out,
        networks.second_embedder,
        networks.teacher,
        *networks.judges,
    ):
        if name in ZOO and ZOO[name].digests:
            checked(networks.folder / ZOO[name].path, *ZOO[name].digests)
    for option, name, described in (
        ("--embedder", networks.embedder, networks.embedder_input),
        ("--held-out", networks.held_out or "", ""),
    ):
        if not is_path(name):
            continue
        from evaluators.networks.backends.onnx_nets import ONNX_ERRORS
        from evaluators.networks.backends.race import smooth_pictures

        pictures = smooth_pictures(3)
        try:
            found = load_embedder(networks.folder, name, described, option=option)(pictures)
        except ONNX_ERRORS as error:
            raise ValueError(f"{option} {name}: expected a network that runs on pictures: {error}") from error
        if found.shape[0] != len(pictures) or found.shape[1] < 2:
            raise ValueError(
                f"{option} {name}: expected embeddings of {len(pictures)} pictures as its first output, got "
                f"{tuple(found.shape)}; export it with the embedding alone"
            )
        if not found.isfinite().all():
            raise ValueError(
                f"{option} {name}: expected finite embeddings, got some that are not; is it fed as it was trained "
                "(--embedder-input)?"
            )
        if (found[0] - found[1]).abs().max() < 1e-6:
            raise ValueError(
                f"{option} {name}: expected other embeddings of other pictures, got the same; is it fed as it was "
                "trained (--embedder-input)?"
            )


def _takes_any_batch(net: OnnxEmbedder) -> bool:
    """Tell whether two pictures at a time get two embeddings."""
    from evaluators.networks.backends.onnx_nets import ONNX_ERRORS
    from evaluators.networks.backends.race import smooth_pictures

    try:
        return len(net(smooth_pictures(2))) == 2
    except (*ONNX_ERRORS, RuntimeError):
        return False


def load_torch_embedder(
    folder: Path, option: str, name: str, described: str, device: str, precision: str
) -> TorchEmbedder:
    """Load by PyTorch what `load_embedder` loads by ONNX Runtime."""
    from evaluators.networks.backends.torch_nets import TorchEmbedder

    named = convention_of(option, Path(name), described) if is_path(name) else None
    return TorchEmbedder(folder, Path(name).stem if named else name, named, device=device, precision=precision)


def state_of(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a PyTorch or safetensors file; nothing else is unpickled."""
    model = ZOO[name]
    path = checked(folder / model.path, *model.digests)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def published_facts(name: str) -> dict[str, Any]:
    """Return the facts of a network of the zoo, as they go into tables and report."""
    return {"name": name, "sha256": ZOO[name].sha256, "terms": ZOO[name].terms}
