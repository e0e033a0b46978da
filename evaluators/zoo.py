"""Zoo: which networks a panel gets, and where their weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from evaluators.conventions import DETECTOR, DETECTOR_SHA256, RESEARCH, checked
from evaluators.demo_nets import load_demo_embedder, load_demo_held_out, load_demo_teacher
from evaluators.nets import Nets
from evaluators.perceptual import STLPIPS

if TYPE_CHECKING:
    from evaluators.detection import Scrfd


def load_nets(models: Path | None, *, device: torch.device | str = "cpu", threads: int | None = None) -> Nets:
    """Load the networks of a panel.

    Args:
        models: folder with real networks; None for the demo networks that the project brings.
        device: where they live.
        threads: of ONNX Runtime, per network; None for as many as torch uses.

    Raises:
        ValueError: if a file is missing or has another digest than the zoo knows.
    """
    st_lpips = STLPIPS().to(device)
    facts: dict[str, Any] = {
        "st_lpips": {
            "name": st_lpips.name,
            "sha256": st_lpips.digest,
            "terms": "BSD-2, from the package stlpips-pytorch",
        }
    }
    if models is None:
        embedder, held_out, teacher = load_demo_embedder(device), load_demo_held_out(device), load_demo_teacher(device)
        for role, net in (("embedder", embedder), ("held_out", held_out), ("teacher", teacher)):
            facts[role] = {"name": net.name, "sha256": net.digest, "terms": "the project's own, trained on demo faces"}
        return Nets(embedder, teacher, (st_lpips,), None, held_out, facts)
    real = load_models(models, threads=threads, device=str(device))
    return Nets(
        real["embedder"], real["teacher"], (st_lpips,), real["detector"], real["held_out"], {**facts, **real["facts"]}
    )


def load_detector(folder: Path, *, threads: int | None = None) -> Scrfd:
    """Load the SCRFD detector of a folder of models."""
    from evaluators.detection import Scrfd  # insightface and ONNX Runtime: a second that the demo does without

    return Scrfd(checked(folder / DETECTOR, DETECTOR_SHA256), threads=threads)


def load_models(
    folder: Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    embedder: str = "edgeface_xs",
    held_out: str = "mobilefacenet_192",
    teacher: str = "facex",
) -> dict[str, Any]:
    """Load the real networks of a panel.

    Returns:
        embedder, held_out, teacher, detector, and `facts` about each, ready for JSON.

    Raises:
        ValueError: if a file is missing or another one than declared.
    """
    from evaluators.onnx_nets import OnnxEmbedder, OnnxTeacher

    loaded: dict[str, Any] = {
        "embedder": OnnxEmbedder(folder, embedder, threads=threads, device=device),
        "held_out": OnnxEmbedder(folder, held_out, threads=threads, device=device),
        "teacher": OnnxTeacher(folder, teacher, threads=threads, device=device),
        "detector": load_detector(folder, threads=threads),
    }
    facts = {
        role: {"name": net.name, "sha256": net.digest, "terms": net.convention.terms}
        for role, net in loaded.items()
        if role != "detector"
    }
    facts["detector"] = {
        "name": loaded["detector"].name,
        "sha256": DETECTOR_SHA256,
        "terms": f"InsightFace: {RESEARCH}",
    }
    return {**loaded, "facts": facts}
