"""Back ends: the same network by ONNX Runtime and by PyTorch must say the same; the faster one serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.networks.backends.memory import out_of_memory
from evaluators.networks.roles import TeacherOutput

AGREEMENT = {"float32": 0.9999, "float16": 0.999, "bfloat16": 0.99}
"""Least cosine of what both back ends say of a picture, by the precision of PyTorch's."""
SIDE = 112
PICTURES = {"cpu": 32, "cuda": 512}
ROUNDS = 3
MARGIN = 0.95
"""PyTorch serves where it takes at most this share of ONNX Runtime's time; a tie goes to the file as published."""

Net = TypeVar("Net", bound=Callable[[Tensor], Any])


@dataclass(frozen=True)
class Choice:
    """Say which back end serves a network, and why; ms per face where they raced.

    Attributes:
        backend: onnx or torch.
        why: in words.
        onnx_ms, torch_ms: measured on the spot; None where nothing was measured.
        cosine: least agreement of the two on a picture; None where only one was loaded.
    """

    backend: str
    why: str
    onnx_ms: float | None = None
    torch_ms: float | None = None
    cosine: float | None = None

    def describe(self) -> dict[str, Any]:
        """Return what is known of it, as it goes into tables and report."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def choose(
    by_onnx: Callable[[], Net], by_torch: Callable[[], Net], *, wanted: str, device: str, precision: str = "float32"
) -> tuple[Net, Choice]:
    """Load a network by the back end that is wanted, or by the faster one.

    Args:
        by_onnx, by_torch: load it.
        wanted: of RUNTIMES.
        device: where it lives.
        precision: of PyTorch's.

    Raises:
        ValueError: if PyTorch is wanted and cannot have it, or says something else than ONNX Runtime.
    """
    reference = by_onnx()
    if wanted == "onnx":
        return reference, Choice("onnx", "as asked for")
    pictures = smooth_pictures(PICTURES[torch.device(device).type])
    try:
        other = by_torch()
        cosine = agreement(reference(pictures), other(pictures))
        if not cosine >= AGREEMENT[precision]:
            raise ValueError(
                f"{getattr(other, 'name', 'network')}: expected PyTorch to agree with ONNX Runtime to a cosine of "
                f"{AGREEMENT[precision]}, got {cosine:.6f}; choose --backend-nets onnx"
            )
    except Exception as error:  # whatever PyTorch raises on a converted graph
        if out_of_memory(error) or (wanted == "torch" and isinstance(error, ValueError)):
            raise
        if wanted == "torch":
            raise ValueError(
                f"--backend-nets torch: expected a network that PyTorch runs as converted, {type(error).__name__}: "
                f"{error}; choose --backend-nets onnx"
            ) from error
        return reference, Choice("onnx", str(error))
    if wanted == "torch":
        return other, Choice("torch", "as asked for", cosine=cosine)
    onnx_ms, torch_ms = race((reference, other), pictures, device)
    backend = "torch" if torch_ms < MARGIN * onnx_ms else "onnx"
    net = other if backend == "torch" else reference
    return net, Choice(backend, "faster here", onnx_ms, torch_ms, cosine)


def smooth_pictures(count: int, side: int = SIDE, seed: int = 0) -> Tensor:
    """Draw (count, 3, side, side) uint8 pictures of smooth blobs, which networks tell apart as they do faces."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 7, 7, generator=generator)
    smooth = functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8)


def agreement(one: Tensor | TeacherOutput, other: Tensor | TeacherOutput) -> float:
    """Return the least cosine over pictures of two back ends' answers: embeddings, or logits and features."""
    if isinstance(one, TeacherOutput) and isinstance(other, TeacherOutput):
        return min(agreement(one.logits, other.logits), agreement(one.features, other.features))
    assert isinstance(one, Tensor) and isinstance(other, Tensor)
    return float(functional.cosine_similarity(one.double(), other.double(), dim=1).min())


def race(nets: tuple[Callable[[Tensor], Any], ...], pictures: Tensor, device: str) -> list[float]:
    """Return the ms per face of each, the best of rounds in which they take turns; all of them are warm."""
    best = [float("inf")] * len(nets)
    for _ in range(ROUNDS):
        for i, net in enumerate(nets):
            start = time.perf_counter()
            net(pictures)
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize()
            best[i] = min(best[i], 1e3 * (time.perf_counter() - start) / len(pictures))
    return best
