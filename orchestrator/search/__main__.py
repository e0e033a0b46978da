"""The main program: `python -m orchestrator.search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluators.attackers import ATTACKERS, SEARCHING
from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS
from evaluators.networks.catalog.pulling import pulled_folder
from orchestrator.search.run import run
from orchestrator.search.settings import DEFAULT_OBJECTIVES, Settings
from orchestrator.sweep.study import SAMPLERS
from orchestrator.terminal import make_console, sentences
from search_spaces import SPACES, load_space

PANEL_SECTION = "Panel"
NETWORKS_SECTION = "Networks"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    space: Annotated[
        str | None,
        typer.Option(
            help=f"What may be tried: {', '.join(SPACES)}, or package.module:NAME.",
            show_default="classical; on the demo world with the generator that was trained for it",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of one folder of pictures per person, or of a prepared set. Default: the demo world."
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of real networks, for --data. Default: where orchestrator.models pulls them to."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            help=f"Network of the attackers: {', '.join(EMBEDDERS)}, or the path of an ArcFace-style ONNX file.",
            show_default="edgeface_xs",
            rich_help_panel=NETWORKS_SECTION,
        ),
    ] = None,
    embedder_input: Annotated[
        str | None,
        typer.Option(
            help="How the embedder at a path is fed, where it is not size=112,layout=nchw,color=rgb,mean=127.5,"
            "scale=127.5: the parts that differ.",
            rich_help_panel=NETWORKS_SECTION,
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            help="Network that the search never uses, for orchestrator.verify: of another family.",
            show_default="mobilefacenet_192",
            rich_help_panel=NETWORKS_SECTION,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help=f"Network that reads the expression: {', '.join(TEACHERS)}.",
            show_default="facex",
            rich_help_panel=NETWORKS_SECTION,
        ),
    ] = None,
    backend_nets: Annotated[
        str,
        typer.Option(
            help="What runs the real networks: onnx, torch, or auto, the faster on the panel's machine.",
            rich_help_panel=NETWORKS_SECTION,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(help="Of PyTorch's networks: float32, float16 or bfloat16.", rich_help_panel=NETWORKS_SECTION),
    ] = "float32",
    attacker: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Attackers of every trial: {', '.join(ATTACKERS)}. restored and finetuned train networks, "
            "for minutes a trial without a GPU.",
            show_default=", ".join(SEARCHING),
            rich_help_panel=PANEL_SECTION,
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Configurations to try, besides the anchors.")] = 40,
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds after which nothing more is tried; --resume goes on.")
    ] = None,
    max_faces: Annotated[
        int | None, typer.Option(help="Faces anonymized and measured after which nothing more is tried.")
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="Metric to optimize, two or three times; see METRICS.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(SAMPLERS)}. Default: grid for a fixed list, else tpe.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of splits, sampler, anonymizers, attackers and bootstrap.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Results folder. Default: results/<data>-<space>, numbered if taken.")
    ] = None,
    copy_to: Annotated[
        str | None,
        typer.Option(
            help="Keep a copy of the results at a URI, e.g. s3://bucket/sweep; --resume takes it where --out has none."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in the results folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sweep in the results folder.")] = False,
    backend: Annotated[str, typer.Option(help="ray, or inprocess: the same loop without Ray.")] = "ray",
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to join, e.g. auto. Default: RAY_ADDRESS, else a local one.", envvar="RAY_ADDRESS"
        ),
    ] = None,
    panels: Annotated[
        int | None,
        typer.Option(
            help="Panel actors.", show_default="one per GPU share, or per node", rich_help_panel=PANEL_SECTION
        ),
    ] = None,
    gpus_per_panel: Annotated[
        str,
        typer.Option(
            help="Share of a GPU per panel; 0: CPU only; auto: as many panels on a GPU as its memory holds.",
            rich_help_panel=PANEL_SECTION,
        ),
    ] = "1",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=PANEL_SECTION)] = "auto",
    min_pictures: Annotated[
        int | None, typer.Option(help="Evaluate all people with at least so many pictures, and nobody else.")
    ] = None,
    max_pictures: Annotated[int | None, typer.Option(help="Draw at most so many pictures of each person.")] = None,
    attacker_faces: Annotated[
        int, typer.Option(help="Faces of other people to train the adapted reader on, at most.")
    ] = 2500,
) -> None:
    """Find the privacy-utility front of face anonymization.

    Without options: 40 configurations of blur, pixelation, k-Same and the project's generator on the demo world, in a
    few minutes on a laptop. Leaves trials.parquet, front.parquet and report.html in the results folder, and prints the
    front.
    """
    space = space or ("classical" if data is not None else "classical_and_generator")
    with sentences():
        settings = Settings(
            space=load_space(space),
            space_name=space,
            data=data,
            models=models or (pulled_folder() if data is not None else None),
            embedder=embedder,
            embedder_input=embedder_input,
            held_out=held_out,
            teacher=teacher,
            backend_nets=backend_nets,
            precision=precision,
            attackers=tuple(attacker or SEARCHING),
            trials=trials,
            time_budget=time_budget,
            max_faces=max_faces,
            objectives=tuple(objective or DEFAULT_OBJECTIVES),
            sampler=sampler,
            seed=seed,
            out=out,
            copy_to=copy_to,
            resume=resume,
            overwrite=overwrite,
            backend=backend,
            address=address,
            panels=panels,
            gpus_per_panel=share_of(gpus_per_panel),
            device=device,
            min_pictures=min_pictures,
            max_pictures=max_pictures,
            attacker_faces=attacker_faces,
        )
        code = run(settings, make_console())
    raise typer.Exit(code)


def share_of(text: str) -> float | None:
    """Read --gpus-per-panel: a number, or None for auto.

    Raises:
        ValueError: if it is neither.
    """
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--gpus-per-panel: expected a number or auto, got {text!r}") from None


if __name__ == "__main__":
    app()
