"""The main program: `python -m orchestrator.search`."""

from __future__ import annotations

import typer

from evaluators.networks.catalog.choice import Networks
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines, Settings
from orchestrator.terminal import make_console, options_of, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(settings=Settings, faces=FaceChoice, networks=Networks, machines=Machines)
def main(settings: Settings, faces: FaceChoice, networks: Networks, machines: Machines) -> None:
    """Find the privacy-utility front of face anonymization.

    Without options: 40 configurations of blur, pixelation, k-Same and the project's generator on the demo world, in a
    few minutes on a laptop. Leaves trials.parquet, front.parquet and report.html in the results folder, and prints the
    front.
    """
    with sentences(machine=(OSError, RuntimeError)):
        from orchestrator.search.run import run  # torch and optuna, which --help does without

        code = run(settings, faces, networks, machines, make_console())
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
