"""Measure a front again: `python -m orchestrator.verify RESULTS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluators.networks.catalog.choice import Networks
from orchestrator.records.files import FRONT, check_results
from orchestrator.search.faces import FaceChoice
from orchestrator.search.names import ATTACKER_NAMES, check_attackers
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.interruption import listening
from orchestrator.terminal import errors, make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(
    faces=(FaceChoice, "data"),
    networks=(Networks, "models", "held_out"),
    machines=Machines,
    learning=(Settings, "family_budget", "families"),
)
def main(
    results: Annotated[Path, typer.Argument(help="Results folder of a search.")],
    faces: FaceChoice,
    networks: Networks,
    machines: Machines,
    learning: Settings,
    seed: Annotated[
        int | None, typer.Option(help="Of people, pictures and attackers.", show_default="the search's + 1")
    ] = None,
    attacker: Annotated[
        list[str] | None,
        typer.Option(help=f"Attackers, the search's among them: {', '.join(ATTACKER_NAMES)}.", show_default="all"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a verification that was interrupted.")] = False,
) -> None:
    """Measure the front of a search again, on other people and with all attackers.

    --data and --models are needed where the search had some, --held-out where it named none for the attacker held_out.
    Leaves verified.arrow (a ledger, from which --resume goes on), verified.parquet, curves.parquet and verified.html
    beside front.parquet, and prints both figures of every configuration side by side.
    """
    with (
        sentences(machine=(OSError, RuntimeError), interrupted="ended early; --resume goes on"),
        listening(lambda sentence: errors.print(sentence, markup=False)),
    ):
        check_results(results, FRONT)
        check_attackers(attacker or ATTACKER_NAMES)
        from orchestrator.verify.verification import run  # torch, which --help and most refusals do without

        console = make_console()
        code = run(
            results, faces, networks, machines, console, seed=seed, attackers=attacker, resume=resume, learning=learning
        )
    raise typer.Exit(code)


if __name__ == "__main__":
    run_app(app)
