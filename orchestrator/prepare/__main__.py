"""Prepare faces: `python -m orchestrator.prepare SOURCE --out FACES`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from anonymizers import TEMPLATE_SIZE
from evaluators.datasets.sources.archives import ARCHIVES
from evaluators.networks.catalog.pulling import cache_folder
from orchestrator.prepare.preparation import Settings, prepare
from orchestrator.terminal import make_console, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of one folder of pictures per person, folder of CelebA, FER2013 or the Yale faces, a CSV file "
            f"(path,identity,expression; FER2013), or a name to download: {', '.join(ARCHIVES)}."
        ),
    ],
    models: Annotated[
        Path | None, typer.Option(help="Folder of real networks, for the detector.", show_default="the user's cache")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the prepared set. Default: faces/<name>.")] = None,
    size: Annotated[int, typer.Option(help="Side of the aligned crops, px; the context crops have 12/7 of it.")] = (
        TEMPLATE_SIZE
    ),
    one_face: Annotated[
        bool, typer.Option("--one-face", help="Reject pictures of several faces. Default: take the main one.")
    ] = False,
    processes: Annotated[int | None, typer.Option(help="Processes.", show_default="one per core")] = None,
    limit: Annotated[int | None, typer.Option(help="Take only so many pictures, the first ones.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the set in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the set in the folder.")] = False,
    downloads: Annotated[
        Path | None, typer.Option(help="Folder for downloads.", show_default="the user's cache")
    ] = None,
) -> None:
    """Find, align and list the faces of a set once, so that every search starts at once.

    Leaves faces.arrow, which `orchestrator.search --data FACES` takes, and rejected.parquet, which names every picture
    that could not be used and why. It may be killed at any time: --resume goes on.
    """
    console = make_console()
    with sentences(machine=(RuntimeError, OSError), interrupted="interrupted; --resume goes on"):
        prepare(
            Settings(
                source=source,
                models=models or cache_folder(),
                out=out,
                size=size,
                one_face=one_face,
                processes=processes,
                limit=limit,
                resume=resume,
                overwrite=overwrite,
                downloads=downloads or _cache(),
            ),
            console,
        )


def _cache() -> Path:
    """Return the folder for downloads where none is given."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "face-anonymization-search" / "data"


if __name__ == "__main__":
    app()
