"""One training run of the generator: a plain function, without Ray; needs torch, faces, an embedder and a teacher."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from anonymizers.training.descent import Descent


def train(
    run: Descent,
    checkpoint: Path,
    *,
    resume: bool = False,
    each_epoch: Callable[[Descent, dict[str, float]], None] = lambda run, losses: None,
) -> Descent:
    """Take all steps of a run, with a checkpoint after each epoch.

    Args:
        run: at its beginning.
        checkpoint: file that keeps the state.
        resume: go on from the file, if it is there.
        each_epoch: told the run and the mean losses after each epoch, and at the end.

    Raises:
        ValueError: if the checkpoint is of another recipe.
        RuntimeError: if a gradient is not finite.
    """
    if resume and checkpoint.is_file():
        run.load(torch.load(checkpoint, map_location=run.device, weights_only=True))
    sums: dict[str, float] = {}
    count = 0
    while run.step_number < run.recipe.steps:
        for name, value in run.step().items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        if run.step_number % run.epoch_steps == 0 or run.step_number == run.recipe.steps:
            if run.rank == 0:
                keep(run, checkpoint)
            each_epoch(run, {name: value / count for name, value in sums.items()})
            sums, count = {}, 0
    return run


def recipe_in(checkpoint: Path) -> dict[str, Any] | None:
    """Return the recipe of a checkpoint; None where there is no file."""
    if not checkpoint.is_file():
        return None
    recipe: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)["recipe"]
    return recipe


def keep(run: Descent, checkpoint: Path) -> None:
    """Write the state of a run, all or nothing."""
    new = checkpoint.with_suffix(".new")
    torch.save(run.state(), new)
    new.replace(checkpoint)


def export(run: Descent, path: Path, facts: Mapping[str, str]) -> str:
    """Write the averaged weights, with the recipe and further facts as metadata; return the file's SHA-256."""
    metadata = {"recipe": json.dumps(dataclasses.asdict(run.recipe)), "steps": str(run.step_number), **facts}
    new = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    new.write_bytes(save(run.weights(), metadata=metadata))  # save_file's would be the owner's alone to read
    new.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
