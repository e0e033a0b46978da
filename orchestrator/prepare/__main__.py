"""Prepare faces: `python -m orchestrator.prepare SOURCE --out FACES`."""

from __future__ import annotations

from dataclasses import replace

import typer

from evaluators.networks.catalog.choice import Networks
from evaluators.networks.catalog.pulling import cache_folder
from evaluators.options import check_values
from orchestrator.prepare.options import Preparation, check
from orchestrator.terminal import make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(settings=Preparation, networks=(Networks, "models", "detector"))
def main(settings: Preparation, networks: Networks) -> None:
    """Find, align and list the faces of a set once, so that every search starts at once.

    Leaves faces.arrow, which `orchestrator.search --data FACES` takes, and rejected.parquet, which names every picture
    that could not be used and why. It may be killed at any time: --resume goes on.
    """
    with sentences(machine=(RuntimeError, OSError), interrupted="interrupted; --resume goes on"):
        networks = replace(networks, models=networks.models or cache_folder())
        check_values(networks)
        check(settings, networks.folder)
        from orchestrator.prepare.preparation import prepare  # torch and ONNX Runtime, which --help does without

        prepare(settings, networks.folder, make_console(), detector=networks.settled().detector)


if __name__ == "__main__":
    run_app(app)
