"""Compare configurations of a sweep on the same faces: `python -m orchestrator.compare RESULTS TRIAL TRIAL …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.records.files import LEDGER, check_results
from orchestrator.terminal import delivered, make_console, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    results: Annotated[Path, typer.Argument(help="Results folder of a search.")],
    trial: Annotated[list[int] | None, typer.Argument(help="Trials; none for neighbors on the front.")] = None,
) -> None:
    """Compare trials pairwise on the same faces: differences of the objectives with 95 % intervals over people.

    Without trials, every configuration of the front is compared with its neighbor.
    """
    with sentences():
        check_results(results, LEDGER)
        from orchestrator.compare.pairs import compared, gaps, shown  # torch, which --help does without

        rows = compared(results, trial or ())
        console = make_console()
        for sentence in gaps(results):
            console.print(sentence, markup=False, soft_wrap=True)
    console.print(shown(rows))
    delivered()


if __name__ == "__main__":
    run_app(app)
