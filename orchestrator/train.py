"""Train the project's generator: `python -m orchestrator.train --space expression_loss_ablation`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from anonymizers import Faces, Generator
from anonymizers.conditioning import CONDITIONINGS, mirrored
from anonymizers.generator import WEIGHTS
from anonymizers.resident import person_digest, read_tensors, recipe_of
from anonymizers.training.bands import learn_gains
from anonymizers.training.loop import Embed, Read, Recipe, Run, export, recipe_in, train
from evaluators.datasets.demo import people
from evaluators.datasets.demo_protocol import FIRST_PERSON, faces_of
from evaluators.downloads import digest_of
from evaluators.nets import Nets
from evaluators.pulling import pulled_folder
from evaluators.signals import load_signals, with_measured
from evaluators.torch_nets import without_strides
from evaluators.zoo import check_files, check_networks, load_nets
from orchestrator.ledger import replace_file
from orchestrator.search import errors
from search_spaces import SearchSpace, load_space

DEMO_SEED = 7
DEMO_PEOPLE = (6_000, 1_200, 7)
"""First person, people, and pictures of each that the demo generators are trained on; protocols begin at 10,000."""
PRELUDE_PRICE = 0.002
"""Of a nat, where faces are only drawn as they are: what the identity tells anyway is then not sent again."""
FOR_DEMO = Recipe(batch=48, steps=900, prelude=1_800)
FOR_PHOTOGRAPHS = Recipe(batch=32, steps=1_600, prelude=1_200, width=24, means=True)

WEIGHTS_OF_IDENTITY = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the cosine to the clear face, beside the loss on the expression, where gains of bands are learned."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Task:
    """State what one worker needs to train variants; small enough to send.

    Attributes:
        recipes: one per variant.
        data: prepared set of faces; None for demo faces.
        models: folder of real networks; None for the demo's.
        networks: choice of them, as `load_nets` takes it.
        out: folder of the weights, checkpoints and samples.
        device: where to train.
        min_pictures, seed: of the search whose background is trained on.
        limit: faces to train on, at most.
        resume: go on from checkpoints.
        demo: first person, people, and pictures of each, of the demo faces.
        begin: weights of a generator to begin with; None for a prelude.
    """

    recipes: tuple[Recipe, ...]
    data: Path | None
    models: Path | None
    networks: dict[str, str]
    out: Path
    device: str
    min_pictures: int | None
    seed: int
    limit: int
    resume: bool
    demo: tuple[int, int, int] = (0, 0, 0)
    begin: Path | None = None


@app.command()
def main(
    space: Annotated[str, typer.Option(help="Space whose generators are trained, each variant once.")],
    data: Annotated[Path | None, typer.Option(help="Prepared set of faces. Default: demo faces.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of real networks, for --data; the weights go into generator/ of it.")
    ] = None,
    embedder: Annotated[str, typer.Option(help="Network whose identities are drawn and avoided.")] = "edgeface_xs",
    teacher: Annotated[str, typer.Option(help="Network whose reading of the expression is kept.")] = "facex",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the weights.", show_default="generator/ of --models, or the project's own"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each variant.", show_default="900; 1600 for photographs")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Faces a step.", show_default="48; 32 for photographs")] = None,
    faces: Annotated[int, typer.Option(help="Faces to train on, at most.")] = 50_000,
    min_pictures: Annotated[
        int | None, typer.Option(help="That of the search: who has so many pictures is evaluated, and not trained on.")
    ] = None,
    variant: Annotated[list[str] | None, typer.Option(help="Only these variants of the space.")] = None,
    seed: Annotated[
        int, typer.Option(help="Of the weights and the draws, and that of the search whose split is spared.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int, typer.Option(help="Processes that train together, by Ray Train; 0: this process, without Ray.")
    ] = 0,
    begin: Annotated[
        Path | None,
        typer.Option(help="Weights of a generator, of the same width, that sees as much or more, to begin with."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in the folder.")] = False,
) -> None:
    """Train the generators of a space, on people whom no evaluation sees; of band_blur, learn the gains.

    Leaves <variant>.safetensors (averaged weights, with the recipe in the metadata), <variant>.ckpt to go on from, and
    <variant>/ with a sheet of samples per epoch.
    """
    console = Console(highlight=False)
    try:
        chosen = load_space(space)
        recipes = (
            ()
            if "band_blur" in chosen.used
            else recipes_of(chosen, variant or [], data is not None, steps, batch, seed)
        )
        if begin is not None:
            recipes = tuple(replace(recipe, prelude=0) for recipe in recipes)
        models = models or (pulled_folder() if data is not None else None)
        networks = {"embedder": embedder, "teacher": teacher} if data is not None else {}
        if (data is None) != (models is None):
            raise ValueError("--data and --models: expected both, for photographs, or none, for demo faces")
        if models is not None:
            held_out = "mobilefacenet_192" if embedder != "mobilefacenet_192" else "edgeface_xs"
            networks["held_out"] = held_out
            check_networks(**networks)
            check_files(models, **networks)
        task = Task(
            recipes,
            data,
            models,
            networks,
            out or (WEIGHTS if models is None else models / "generator"),
            device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu",
            min_pictures,
            seed,
            faces,
            resume,
            DEMO_PEOPLE,
            begin,
        )
        task.out.mkdir(parents=True, exist_ok=True)
        if not recipes:
            learn_bands(task, console)
        elif workers:
            from orchestrator.train_on_ray import train_together

            train_together(task, workers)
        else:
            work(task, console)
    except (ValueError, RuntimeError) as error:
        errors.print("error:", str(error), style="red", markup=False)
        raise typer.Exit(2) from None


def recipes_of(
    space: SearchSpace, variants: Sequence[str], photographs: bool, steps: int | None, batch: int | None, seed: int
) -> tuple[Recipe, ...]:
    """Return the recipe of each variant of the generator in a space.

    Raises:
        ValueError: if there is none, or a variant that was asked for is not among them.
    """
    found = dict.fromkeys(example.variant for example in space.examples() if isinstance(example, Generator))
    if not found:
        raise ValueError(f"--space {space.name}: expected a space with the method generator, it has none")
    if unknown := [name for name in variants if name not in found]:
        raise ValueError(f"--variant: expected some of {', '.join(found)}, got {', '.join(unknown)}")
    base = FOR_PHOTOGRAPHS if photographs else FOR_DEMO
    recipes = []
    for name in variants or found:
        told, loss = name.split("-")
        recipe = replace(base, conditioning=told, expression_loss=loss, seed=seed)
        recipes.append(replace(recipe, steps=steps or recipe.steps, batch=batch or recipe.batch))
    return tuple(recipes)


def work(
    task: Task,
    console: Console,
    *,
    wrap: Callable[[nn.Module], nn.Module] = lambda net: net,
    shard: tuple[int, int] = (0, 1),
    told: Callable[[dict[str, float]], None] = lambda losses: None,
) -> None:
    """Train every variant of a task in this process, one after the other.

    Args:
        task: what to train.
        console: is told of each epoch.
        wrap: see `Run`.
        shard: which part of the faces is this worker's, of how many; the first one writes.
        told: the losses of each epoch, by every worker.

    Raises:
        ValueError: if faces or networks are missing.
        RuntimeError: if a gradient is not finite.
    """
    nets, embed, read = _asked(task)
    begin = _begun(task.begin) if task.begin is not None else None
    recipes = (*preludes_of(task.recipes), *task.recipes)
    signals = tuple(dict.fromkeys(name for recipe in recipes for name in _needs(recipe)))
    faces = training_faces(task, signals, console)
    faces = faces.take(torch.arange(shard[0], len(faces), shard[1]))
    facts = {
        "embedder": nets.embedder.name,
        "teacher": nets.teacher.name,
        "faces": f"{len(faces)} of {'demo faces' if task.data is None else task.data.name}",
    }
    if task.data is not None:  # the demo's evaluation has other people by construction
        facts["terms"] = f"those of {task.data.name}, {nets.embedder.name} and {nets.teacher.name}"
        facts["people"] = json.dumps(sorted({person_digest(key) for key in faces.key}))
    if task.begin is not None:
        facts["begun_with"] = f"{task.begin.name}, SHA-256 {digest_of(task.begin)}"
    for recipe in recipes:
        run = Run(
            recipe,
            faces,
            embed,
            read,
            device=task.device,
            perceptual=None if task.models is None else _perceptual(nets),  # the demo's faces are learned without
            wrap=wrap,
            rank=shard[0],
            begin=begin,
        )
        shared = recipe not in task.recipes
        name = ("demo_" if task.models is None else "") + ("prelude" if shared else recipe.name)
        start = time.perf_counter()

        def each_epoch(
            run: Run, losses: dict[str, float], folder: Path = task.out / name, start: float = start
        ) -> None:
            if run.rank == 0:
                _tell(console, folder, time.perf_counter() - start, run, losses)
            told(losses)

        checkpoint = task.out / f"{name}.ckpt"
        # What variants share is trained once, whoever asked for it.
        resume = task.resume or (shared and recipe_in(checkpoint) == dataclasses.asdict(recipe))
        train(run, checkpoint, resume=resume, each_epoch=each_epoch)
        if shared:
            begin = (recipe.conditioning, run.average.state_dict())
        elif shard[0] == 0:
            path = task.out / f"{name}.safetensors"
            digest = export(run, path, facts)
            console.print(
                f"{path}: {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {digest}", markup=False, soft_wrap=True
            )


def learn_bands(task: Task, console: Console) -> None:
    """Learn the gains of the band blur for each of WEIGHTS_OF_IDENTITY, and print the configurations."""
    _, embed, read = _asked(task)
    faces = training_faces(replace(task, demo=(task.demo[0], 200, 7)), (), console).to(task.device)
    for weight in WEIGHTS_OF_IDENTITY:
        found = learn_gains(faces, embed, read, weight=weight, seed=task.seed)
        console.print(f"weight {weight:g}: {found!r}", markup=False, soft_wrap=True)


def preludes_of(recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """Return the run that the variants share, if they do: it learns to draw faces, from all signals."""
    if not any(recipe.prelude for recipe in recipes):
        return ()
    first = recipes[0]
    signals = {name for recipe in recipes for name in _needs(recipe)}
    told = min((c for c, needs in CONDITIONINGS.items() if signals <= set(needs)), key=lambda c: len(CONDITIONINGS[c]))
    return (
        replace(
            first,
            conditioning=told,
            expression_loss="none",
            steps=first.prelude,
            prelude=0,
            attraction=0.0,
            repulsion=0.0,
            expression=0.0,
            leak=0.0,
            price=PRELUDE_PRICE,
        ),
    )


def training_faces(task: Task, signals: Sequence[str], console: Console) -> Faces:
    """Load the faces to train on, with their signals: people whom an evaluation does not see.

    Raises:
        ValueError: if too few are left.
    """
    if task.data is None:
        first, count, pictures = task.demo
        assert first + count <= FIRST_PERSON
        return faces_of(people(first, count, pictures, seed=DEMO_SEED))
    from evaluators.datasets.prepared import protocol_of
    from orchestrator.faces_file import read_prepared

    assert task.models is not None
    protocol = protocol_of(
        read_prepared(task.data), seed=task.seed, min_pictures=task.min_pictures, background_faces=task.limit
    )
    faces = protocol.background
    console.print(f"{len(faces)} faces of {faces.people} people, the background of a search with the same seed")
    return with_mirrored(with_measured(faces, load_signals(task.models, signals)))


def with_mirrored(faces: Faces) -> Faces:
    """Return faces and their mirror images, in turn."""
    other = mirrored(faces)
    signals = {
        name: torch.stack((signal, other.signals[name]), 1).flatten(0, 1) for name, signal in faces.signals.items()
    }
    return Faces(
        torch.stack((faces.images, other.images), 1).flatten(0, 1),
        faces.identity.repeat_interleave(2),
        faces.expression.repeat_interleave(2),
        tuple(name for key in faces.key for name in (key, f"{key} mirrored")),
        signals,
    )


def write_sheet(path: Path, rows: Tensor) -> None:
    """Write (R, N, 3, H, W) float pictures in [0, 1] as one PNG file."""
    pixels = (rows * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 4, 2).numpy()
    r, h, n, w, c = pixels.shape
    replace_file(
        path, lambda new: Image.fromarray(np.ascontiguousarray(pixels).reshape(r * h, n * w, c)).save(new, "PNG")
    )


def _asked(task: Task) -> tuple[Nets, Embed, Read]:
    """Load the networks that training asks, and return their embedder and teacher with gradients."""
    nets = load_nets(task.models, device=task.device, backend="torch", differentiable=True, **task.networks)  # type: ignore[arg-type]
    assert nets.differentiable is not None
    if task.models is not None and task.device == "cpu":
        without_strides(nets.teacher.module)  # type: ignore[attr-defined]
    return nets, nets.differentiable.embed, nets.teacher.read  # type: ignore[attr-defined]


def _begun(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Read the conditioning and the weights of a generator's file."""
    if not path.is_file():
        raise ValueError(f"--begin: expected a generator's file, {path} is missing")
    return recipe_of(path)["conditioning"], read_tensors(path)


def _needs(recipe: Recipe) -> tuple[str, ...]:
    return CONDITIONINGS[recipe.conditioning]


def _perceptual(nets: Nets) -> Callable[[Tensor, Tensor], Tensor]:
    """Return LPIPS where it was pulled, its shift-tolerant kin else, of pictures in [0, 255] and with gradients."""
    net = next((net for net in nets.perceptual if net.name == "lpips"), nets.perceptual[0])
    assert isinstance(net, nn.Module)
    return lambda a, b: net(a / 127.5 - 1, b / 127.5 - 1)


def _tell(console: Console, folder: Path, seconds: float, run: Run, losses: dict[str, float]) -> None:
    """Print the losses of an epoch, and write samples."""
    folder.mkdir(exist_ok=True)
    write_sheet(folder / f"step_{run.step_number:06d}.png", run.samples())
    told = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    line = f"{folder.name}: step {run.step_number} of {run.recipe.steps}, {seconds:.0f} s, {told}"
    console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
