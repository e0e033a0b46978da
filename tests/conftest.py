"""Faces for tests: smooth random pictures of people, and where the test data lies."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.environment import ON_LOOPBACK, set_environment

set_environment()  # before anything imports Ray, or torch, whose threads else wait spinning

# ruff: noqa: E402
import torch
from torch.nn import functional

from anonymizers import Faces
from evaluators.demo.faces import people
from evaluators.demo.protocol import faces_of
from tests.helpers import random_weights
from tests.helpers.prepared_sets import tree, whole
from tests.places import SHARED

__all__ = ["tree", "whole"]  # fixtures


if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # two processes test side by side


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process what shares fixtures of a module, and all that starts Ray, which takes the whole machine."""
    for item in items:
        definitions = getattr(item, "_fixtureinfo", None)
        found = definitions.name2fixturedefs.values() if definitions is not None else ()
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
        elif any(fixtures[-1].scope == "module" for fixtures in found):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def smooth_faces(people: int, pictures: int, *, size: int = 112, seed: int = 0, expressions: int = 4) -> Faces:
    """Draw a smooth picture per person and vary it a little per picture."""
    generator = torch.Generator().manual_seed(seed)
    person = torch.rand(people, 3, 7, 7, generator=generator).repeat_interleave(pictures, 0)
    detail = torch.rand(people * pictures, 3, 14, 14, generator=generator)
    images = 0.8 * functional.interpolate(person, size=(size, size), mode="bicubic")
    images += 0.2 * functional.interpolate(detail, size=(size, size), mode="bicubic")
    identity = torch.arange(people).repeat_interleave(pictures)
    expression = torch.arange(people * pictures) % expressions
    return Faces(
        (images.clamp(0, 1) * 255).round().to(torch.uint8),
        identity,
        expression,
        tuple(f"{p}/{i}" for i, p in enumerate(identity.tolist())),
        {"expression": expression.to(torch.uint8)[:, None]},
    )


@pytest.fixture(scope="session")
def faces() -> Faces:
    return smooth_faces(60, 2)


@pytest.fixture(scope="session")
def told() -> Faces:
    """Rendered faces with their landmarks and parsing maps, and a dense cloud drawn between the landmarks."""
    faces = faces_of(people(30_000, 6, 2))
    points = faces.signals["landmarks68"]
    mesh = torch.stack([(points[:, k % 68] + points[:, (k * 7) % 68]) / 2 for k in range(478)], 1)
    return replace(faces, signals={**faces.signals, "landmarks478": mesh})


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "models").is_dir():
        pytest.skip("the test data with real networks and faces is absent")
    return SHARED


@pytest.fixture(scope="module")
def published() -> Iterator[Any]:
    """The authors' module of ST-LPIPS; it imports two packages for its prints that it does not declare."""
    patch = pytest.MonkeyPatch()
    for name, attribute in (("IPython", "embed"), ("torchsummary", "summary")):
        module = types.ModuleType(name)
        setattr(module, attribute, None)
        patch.setitem(sys.modules, name, module)
    from stlpips_pytorch import stlpips

    yield stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    patch.undo()
    for name in [name for name in sys.modules if name.startswith("stlpips_pytorch")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def london(shared: Path) -> torch.Tensor:
    """Return (8, 3, 112, 112) uint8 aligned faces of eight people, neutral."""
    from evaluators.datasets.alignment import align
    from evaluators.datasets.sources.pictures import read_picture
    from evaluators.networks.detection import main_face
    from evaluators.networks.loaders import load_detector

    detector = load_detector(shared / "models", threads=1)
    crops = []
    for path in sorted((shared / "data" / "london" / "neutral_front").iterdir())[:8]:
        pixels = read_picture(path).pixels
        face = main_face(detector.detect(pixels), pixels.shape[1], pixels.shape[0])
        crops.append(torch.from_numpy(align(pixels, face.landmarks)).permute(2, 0, 1))
    return torch.stack(crops)


@pytest.fixture(autouse=True)
def _ray_as_it_comes() -> Iterator[None]:
    """Undo what a local Ray sets for the whole process: no program starts one and joins a cluster afterwards."""
    yield
    if "ray" in sys.modules:
        from ray._private import ray_constants

        ray_constants.ENABLE_RAY_CLUSTER = True
        os.environ.pop(ON_LOOPBACK, None)
