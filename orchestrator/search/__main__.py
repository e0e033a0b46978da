"""The main program: `python -m orchestrator.search`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from evaluators.metrics import METRICS
from evaluators.networks.catalog.choice import Networks
from orchestrator.search.faces import FaceChoice
from orchestrator.search.names import check_names
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.interruption import listening
from orchestrator.terminal import delivered, errors, make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _list_metrics() -> None:
    rows = [(name, m.direction, m.description) for name, m in METRICS.items()]
    _print_table(("metric", "better", "what it is"), rows)


def _list_spaces() -> None:
    from search_spaces import SPACES  # torch, which --help does without

    rows = [
        (name, "any number" if space.size is None else f"{space.size:,}", space.description)
        for name, space in SPACES.items()
    ]
    _print_table(("space", "configurations", "what it is"), rows)


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    make_console().print(table)


@app.command()
@options_of(settings=Settings, faces=FaceChoice, networks=Networks, machines=Machines)
def main(
    settings: Settings,
    faces: FaceChoice,
    networks: Networks,
    machines: Machines,
    list_metrics: Annotated[bool, typer.Option("--list-metrics", help="List what can be measured, and end.")] = False,
    list_spaces: Annotated[bool, typer.Option("--list-spaces", help="List what can be tried, and end.")] = False,
) -> None:
    """Find the privacy-utility front of face anonymization.

    Without options: 20 configurations of blur, pixelation, k-Same and donors on the demo world, in a few minutes on a
    laptop. Leaves trials.parquet, front.parquet and report.html in the results folder, and prints the
    front.
    """
    for asked, show in ((list_metrics, _list_metrics), (list_spaces, _list_spaces)):
        if asked:
            show()
    if list_metrics or list_spaces:
        delivered()
        return
    console = make_console()
    with (
        sentences(machine=(RuntimeError, OSError), interrupted="ended early; what the results folder holds is whole"),
        listening(lambda sentence: errors.print(sentence, markup=False)),
    ):
        check_names(settings)
        from orchestrator.search.checks import checked  # Arrow, which --help does without

        settings = checked(settings, faces, networks, machines)
        from orchestrator.search.run import run  # torch and optuna, which --help and most refusals do without

        code = run(settings, faces, networks, machines, console)
    raise typer.Exit(code)


if __name__ == "__main__":
    run_app(app)
