"""Train the project's generator: `python -m orchestrator.train --space expression_loss_ablation`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from anonymizers.generative.generator import WEIGHTS
from evaluators.networks.catalog.choice import check_files, check_networks
from evaluators.networks.catalog.pulling import pulled_folder
from orchestrator.terminal import make_console, sentences
from orchestrator.train.faces import DEMO_PEOPLE
from orchestrator.train.recipes import recipes_of
from orchestrator.train.task import Task
from orchestrator.train.work import learn_bands, work
from search_spaces import load_space

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


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
    console = make_console()
    with sentences(
        machine=(RuntimeError, OSError), interrupted="interrupted; --resume goes on from the last checkpoint"
    ):
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
            from orchestrator.train.on_ray import train_together

            train_together(task, workers)
        else:
            work(task, console)


if __name__ == "__main__":
    app()
