"""Inspection: does a network of the zoo hold what it must, does it open, and what does it say of one picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import ANONYMIZERS, Context, Faces
from anonymizers.generative.conditioning import words
from anonymizers.generative.generator import load_generator
from anonymizers.generative.nets.noisy_unet import CODES
from anonymizers.signals import present
from evaluators.networks.catalog.conventions import checked
from evaluators.networks.catalog.published import Model
from evaluators.networks.catalog.trained import Trained
from evaluators.networks.loaders import load_detector, load_embedder, load_inception, load_lpips

SIDE = 112


@dataclass(frozen=True)
class Inspection:
    """Hold what came of a network: its answer to one picture in words, and the seconds of it, loading left out."""

    answer: str
    seconds: float


def inspect(model: Model, folder: Path) -> Inspection:
    """Verify the checksum of a network's file, open it, and run one picture through it as its convention says.

    Raises:
        ValueError: if the file is missing or another one, does not open, or does not answer as it must.
    """
    if model.digests:
        checked(folder / model.path, *model.digests)
    picture = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    try:
        ask = OPENERS[model.task](model, folder)
        start = time.perf_counter()
        answer = ask(picture)
    except ValueError:
        raise
    except Exception as error:  # whatever torch, ONNX Runtime or insightface raise on a file they cannot run
        raise ValueError(
            f"{model.name}: expected {folder / model.path} to run, {type(error).__name__}: {error}"
        ) from error
    return Inspection(answer, time.perf_counter() - start)


@torch.no_grad()
def inspect_trained(model: Trained) -> Inspection:
    """Open a trained generator strictly, and draw the mean of its people.

    Raises:
        ValueError: if it is no such file, or its weights are not those of its recipe.
    """
    start = time.perf_counter()
    net, recipe = load_generator(model.path, torch.device("cpu"))
    target = functional.normalize(net.get_buffer("identity_mean"), dim=0)[None]
    codes = [torch.zeros(1, channels, side, side) for channels, side in CODES]
    drawn = net.decode(codes, target, torch.zeros(1, words(recipe["conditioning"])))
    if not drawn.isfinite().all():
        raise ValueError(f"{model.path}: expected a finite picture, got some that is not; train it anew")
    return Inspection(f"a face of mean grey {float(drawn.mean()) * 255:.0f}", time.perf_counter() - start)


def _identity(model: Model, folder: Path) -> Callable[[Tensor], str]:
    net = load_embedder(folder, model.name, threads=1)

    def ask(picture: Tensor) -> str:
        embedding = net(picture)
        norm = float(embedding.norm())
        if not abs(norm - 1) < 1e-4:
            raise ValueError(f"{model.name}: expected an embedding of norm 1, got {norm}")
        return f"{embedding.shape[1]} numbers"

    return ask


def _expression(model: Model, folder: Path) -> Callable[[Tensor], str]:
    from evaluators.networks.backends.onnx_nets import OnnxTeacher

    net = OnnxTeacher(folder, model.name, threads=1)

    def ask(picture: Tensor) -> str:
        reading = net(picture)
        if reading.logits.shape[1] != len(net.classes) or not reading.logits.isfinite().all():
            raise ValueError(
                f"{model.name}: expected finite logits of {len(net.classes)} classes, got {reading.logits.tolist()}"
            )
        return f"{len(net.classes)} classes, {reading.features.shape[1]} features"

    return ask


def _detection(model: Model, folder: Path) -> Callable[[Tensor], str]:
    net = load_detector(folder, model.name, threads=1)
    return lambda picture: f"{int(net(picture).found.sum())} faces in noise"


def _perceptual(model: Model, folder: Path) -> Callable[[Tensor], str]:
    net = load_lpips(folder, model.name)

    def ask(picture: Tensor) -> str:
        near, far = net.distance_to(net.features(picture.repeat(2, 1, 1, 1)), torch.cat([picture, 255 - picture]))
        if near != 0 or not far > 0:
            raise ValueError(f"{model.name}: expected 0 for equal pictures, more for others, got {near} and {far}")
        return f"{far:.2f} from the negative"

    return ask


def _realism(model: Model, folder: Path) -> Callable[[Tensor], str]:
    net = load_inception(folder)

    def ask(picture: Tensor) -> str:
        features = net(picture)
        if not features.isfinite().all():
            raise ValueError(f"{model.name}: expected finite features, got {features.tolist()}")
        return f"{features.shape[1]} features"

    return ask


def _signals(model: Model, folder: Path) -> Callable[[Tensor], str]:
    from evaluators.networks.signals import open_source

    measure = open_source(model.name, folder)

    def ask(picture: Tensor) -> str:
        signal = measure(picture)
        what = "classes of each pixel" if signal.dtype == torch.uint8 else f"{signal.shape[1]} landmarks"
        return f"{what}, {int(present(signal).sum())} of 1 seen in noise"

    return ask


def _generation(model: Model, folder: Path) -> Callable[[Tensor], str]:
    """Load strictly, so that a file with other names or shapes is told name by name, and draw one face."""
    method = ANONYMIZERS[model.name]()
    path = method.network(folder)
    assert path is not None
    faces = Faces(
        torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8),
        torch.zeros(1).long(),
        torch.zeros(1).long(),
        ("face",),
        POINTS,
    )
    context = Context(
        models=folder,
        background=faces,
        embed=lambda images: functional.normalize(torch.ones(len(images), 512)),
        embedder="buffalo_l",
    )

    def ask(picture: Tensor) -> str:
        drawn = method(replace(faces, images=picture), context)
        return f"a face of mean grey {float(drawn.float().mean()):.0f}"

    return ask


POINTS = {
    "landmarks68": SIDE * torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0)),
    "landmarks478": SIDE * torch.rand(1, 478, 2, generator=torch.Generator().manual_seed(0)),
}

OPENERS: dict[str, Callable[[Model, Path], Callable[[Tensor], str]]] = {
    "identity": _identity,
    "expression": _expression,
    "detection": _detection,
    "perceptual": _perceptual,
    "realism": _realism,
    "signals": _signals,
    "generation": _generation,
}
"""By task: loads the network and returns what asks it."""
