"""Ask people what they see: `python -m orchestrator.study make RESULTS | read ANSWERS … --results RESULTS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluators.networks.catalog.choice import Networks
from orchestrator.records.files import LEDGER, check_results
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines
from orchestrator.study.options import Asked
from orchestrator.terminal import delivered, errors, make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Results = Annotated[Path, typer.Argument(help="Results folder of a search.")]


@app.command()
@options_of(asked=Asked, faces=(FaceChoice, "data"), networks=(Networks, "models"), machines=(Machines, "device"))
def make(results: Results, asked: Asked, faces: FaceChoice, networks: Networks, machines: Machines) -> None:
    """Make a page that asks people about configurations of a sweep: which expression, and the same person or not.

    --data and --models are needed where the search had some. Leaves study.html, which participants open on any machine
    without a network, and study.json, which says what would have been right.
    """
    with sentences(machine=(OSError, RuntimeError)):
        check_results(results, LEDGER)
        from orchestrator.study import make as making  # torch, which --help and this refusal do without

        console = make_console()
        page, key = making.make(results, asked, faces, networks, machines.device, console)
        for line in making.said(page, key):
            console.print(line, markup=False, soft_wrap=True)
    delivered()


@app.command("read")
def read_answers(
    answers: Annotated[list[Path], typer.Argument(help="Files of answers that participants saved.")],
    results: Annotated[Path, typer.Option(help="Results folder of the search.")],
    study: Annotated[
        Path | None, typer.Option(help="Folder of the study.", show_default="study in the results folder")
    ] = None,
) -> None:
    """Turn files of answers into tables: accuracies, agreement, d', and correlations with readers and attackers.

    A file that is not whole answers to the study is left out, with a sentence. Leaves answers.parquet, people.parquet
    and correlations.parquet in the study's folder.
    """
    with sentences():
        check_results(results, LEDGER)
        from orchestrator.study.reading import reading

        for sentence in reading(answers, results, study, make_console()):
            errors.print(sentence, markup=False)
    delivered()


if __name__ == "__main__":
    run_app(app)
