"""The work of one process: every variant, one after the other."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from anonymizers.generative.generator import WEIGHTS
from anonymizers.generative.resident import person_digest, read_tensors, recipe_of
from anonymizers.training.bands import learn_gains
from anonymizers.training.descent import Descent
from anonymizers.training.loop import export, recipe_in, train
from anonymizers.training.recipe import Recipe, Refining
from anonymizers.training.refining import Refinement
from anonymizers.training.run import Run
from evaluators.networks.catalog.choice import Networks, check_files, check_networks
from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.loaders import try_networks
from evaluators.options import refuse_idle
from orchestrator.cluster.code import commit_here
from orchestrator.prepare.options import FACES
from orchestrator.records.files import check_writable, replace_file
from orchestrator.search.checks import IDLE, check_answers, check_device, real_networks
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines
from orchestrator.train.asked import asked, perceptual_of, teachers_of
from orchestrator.train.faces import DEMO_PEOPLE, training_faces
from orchestrator.train.recipes import preludes_of, recipes_of
from orchestrator.train.task import Task, Training
from search_spaces import load_space

WEIGHTS_OF_IDENTITY = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the cosine to the clear face, beside the loss on the expression, where gains of bands are learned."""


def start(training: Training, faces: FaceChoice, networks: Networks, machines: Machines, console: Console) -> None:
    """Make the task of a command's options, and train it here or in several processes.

    Raises:
        ValueError: if an option cannot be honored, or faces or networks are missing.
        RuntimeError: if a gradient is not finite, or a process fails.
    """
    check_device(machines.device)
    if training.workers:
        check_answers(Machines(address=os.environ.get("RAY_ADDRESS") or None))
    space = load_space(training.space)
    recipes = () if "band_blur" in space.used else recipes_of(space, training, faces)
    refines = any(isinstance(recipe, Refining) for recipe in recipes)
    if training.left_out and not refines:
        raise ValueError(f"--left-out {training.left_out}: does nothing without the method refined in --space")
    if training.begin is not None:
        if refines:
            raise ValueError("--begin: expected generators to train, the method refined begins with averages; leave it")
        recipes = tuple(replace(recipe, prelude=0) for recipe in recipes if isinstance(recipe, Recipe))
    refuse_idle(IDLE.get(faces.world, {}), faces)
    chosen = real_networks(faces, networks)
    if faces.data is not None and not (faces.data / FACES).is_file():
        raise ValueError(
            f"--data: expected a prepared set, {faces.data} has no {FACES}; python -m orchestrator.prepare "
            f"{faces.data} --out FACES makes one"
        )
    if chosen is not None:
        chosen = replace(chosen, backend_nets="torch")
        check_networks(chosen)
        check_files(chosen)
        try_networks(chosen)
    task = Task(
        recipes,
        training,
        faces,
        chosen,
        training.out or (WEIGHTS if chosen is None else chosen.folder / "generator"),
        machines.device if machines.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu",
        DEMO_PEOPLE,
    )
    check_writable(task.out, "--out")
    if not recipes:
        learn_bands(task, console)
    elif training.workers:
        from orchestrator.train.on_ray import train_together

        train_together(task, training.workers)
    else:
        work(task, console)


def work(
    task: Task,
    console: Console,
    *,
    wrap: Callable[[nn.Module], nn.Module] = lambda net: net,
    shard: tuple[int, int] = (0, 1),
    agree: Callable[[int], int] = lambda count: count,
    told: Callable[[dict[str, float]], None] = lambda losses: None,
) -> None:
    """Train every variant of a task in this process, one after the other.

    Args:
        task: what to train.
        console: is told of each epoch.
        wrap: see `Run`.
        shard: which part of the faces is this worker's, of how many; the first one writes.
        agree: see `Run`.
        told: the losses of each epoch, by every worker.

    Raises:
        ValueError: if faces or networks are missing.
        RuntimeError: if a gradient is not finite.
    """
    console.print("loading networks and faces", markup=False)
    nets, embed, read = asked(task)
    begin = _begun(task.training.begin) if task.training.begin is not None else None
    recipes = (*preludes_of(task.recipes), *task.recipes)
    signals = tuple(dict.fromkeys(name for recipe in recipes for name in recipe.needs))
    faces = training_faces(task, signals, console)
    faces = faces.take(torch.arange(shard[0], len(faces), shard[1]))
    facts = {
        "embedder": nets.embedder.name,
        "teacher": nets.teacher.name,
        "faces": f"{len(faces)} of {'demo faces' if task.faces.data is None else task.faces.name}",
    }
    if task.faces.data is not None:  # the demo's evaluation has other people by construction
        facts["terms"] = f"those of {task.faces.name}, {nets.embedder.name} and {nets.teacher.name}"
        facts["people"] = json.dumps(sorted({person_digest(key) for key in faces.key}))
    if commit := commit_here():
        facts["commit"] = commit
    if task.training.begin is not None:
        facts["begun_with"] = f"{task.training.begin.name}, SHA-256 {digest_of(task.training.begin)}"
    perceptual = None if task.networks is None else perceptual_of(nets)  # the demo's faces are learned without
    for recipe in recipes:
        run: Descent
        if isinstance(recipe, Recipe):
            run = Run(
                recipe,
                faces,
                embed,
                read,
                device=task.device,
                perceptual=perceptual,
                wrap=wrap,
                rank=shard[0],
                agree=agree,
                begin=begin,
            )
            own = facts
        else:
            teachers, left_out = teachers_of(task, nets)
            run = Refinement(
                recipe,
                faces,
                embed,
                tuple(teachers.values()),
                device=task.device,
                perceptual=perceptual,
                wrap=wrap,
                rank=shard[0],
                agree=agree,
            )
            own = {**facts, "teacher": ", ".join(teachers), "left_out": left_out}
            if task.faces.data is not None:
                own["terms"] = f"those of {', '.join((task.faces.name, nets.embedder.name, *teachers))}"
        shared = recipe not in task.recipes
        name = ("demo_" if task.networks is None else "") + ("prelude" if shared else recipe.name)
        start = time.perf_counter()

        def each_epoch(
            run: Descent, losses: dict[str, float], folder: Path = task.out / name, start: float = start
        ) -> None:
            if run.rank == 0:
                _tell(console, folder, time.perf_counter() - start, run, losses)
            told(losses)

        checkpoint = task.out / f"{name}.ckpt"
        # What variants share is trained once, whoever asked for it.
        resume = task.training.resume or (shared and recipe_in(checkpoint) == dataclasses.asdict(recipe))
        train(run, checkpoint, resume=resume, each_epoch=each_epoch)
        if shared:
            assert isinstance(recipe, Recipe)
            begin = (recipe.conditioning, run.average.state_dict())
        elif shard[0] == 0:
            path = task.out / f"{name}.safetensors"
            digest = export(run, path, own)
            console.print(
                f"{path}: {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {digest}", markup=False, soft_wrap=True
            )


def learn_bands(task: Task, console: Console) -> None:
    """Learn the gains of the band blur for each of WEIGHTS_OF_IDENTITY, and print the configurations."""
    _, embed, read = asked(task)
    faces = training_faces(replace(task, demo=(task.demo[0], 200, 7)), (), console).to(task.device)
    for weight in WEIGHTS_OF_IDENTITY:
        found = learn_gains(faces, embed, read, weight=weight, seed=task.faces.seed)
        console.print(f"weight {weight:g}: {found!r}", markup=False, soft_wrap=True)


def write_sheet(path: Path, rows: Tensor) -> None:
    """Write (R, N, 3, H, W) float pictures in [0, 1] as one PNG file."""
    pixels = (rows * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 4, 2).numpy()
    r, h, n, w, c = pixels.shape
    replace_file(
        path, lambda new: Image.fromarray(np.ascontiguousarray(pixels).reshape(r * h, n * w, c)).save(new, "PNG")
    )


def _begun(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Read the conditioning and the weights of a generator's file."""
    if not path.is_file():
        raise ValueError(f"--begin: expected a generator's file, {path} is missing")
    return recipe_of(path)["conditioning"], read_tensors(path)


def _tell(console: Console, folder: Path, seconds: float, run: Descent, losses: dict[str, float]) -> None:
    """Print the losses of an epoch, and write samples."""
    folder.mkdir(exist_ok=True)
    write_sheet(folder / f"step_{run.step_number:06d}.png", run.samples())
    told = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    line = f"{folder.name}: step {run.step_number} of {run.recipe.steps}, {seconds:.0f} s, {told}"
    console.print(line, markup=False, soft_wrap=True)
