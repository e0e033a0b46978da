"""InsightFace's packs: their recognition networks are fed as insightface's own class feeds them."""

from __future__ import annotations

from pathlib import Path

from insightface.model_zoo.arcface_onnx import ArcFaceONNX

from evaluators.networks.backends.onnx_nets import session
from evaluators.networks.catalog.conventions import Convention, checked


def arcface(path: Path) -> ArcFaceONNX:
    """Open an ArcFace-style file with insightface's class, on the CPU; its `get_feat` takes BGR crops.

    Args:
        path: of the ONNX file.
    """
    made = session(path.read_bytes(), threads=1, device="cpu")
    return ArcFaceONNX(model_file=str(path), session=made)


def confirm(folder: Path, convention: Convention) -> None:
    """Compare how a network is declared to be fed with what insightface's class reads from the file.

    Args:
        folder: of models.
        convention: of a recognition network.

    Raises:
        ValueError: if the file is missing or another one, or if size, mean or scale differ.
    """
    net = arcface(checked(folder / convention.path, *convention.digests))
    read = (net.input_size[0], net.input_mean, net.input_std)
    declared = (convention.size, convention.mean, convention.scale)
    if read != declared:
        raise ValueError(
            f"{convention.path}: expected insightface to feed it as declared, size, mean and scale {declared}, it "
            f"feeds {read}; correct evaluators/networks/catalog/conventions.py"
        )
