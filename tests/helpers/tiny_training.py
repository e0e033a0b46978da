"""A training run of a few steps."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from anonymizers import Faces
from anonymizers.training.recipe import Recipe
from anonymizers.training.run import Run
from evaluators.demo.nets import load_demo_embedder, load_demo_teacher

TINY = Recipe(steps=4, batch=6, width=8)


def begin(recipe: Recipe, faces: Faces) -> Run:
    return Run(recipe, faces, load_demo_embedder().embed, load_demo_teacher().read)


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata())
