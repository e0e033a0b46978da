"""Compare trials of a sweep, or several sweeps, on the same faces: `python -m orchestrator.compare RESULTS …`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evaluators.metrics import METRICS
from evaluators.options import expected_one_of
from orchestrator.records.files import LEDGER, check_results
from orchestrator.search.names import ATTACKER_NAMES
from orchestrator.terminal import delivered, make_console, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    results: Annotated[Path, typer.Argument(help="Results folder of a search.")],
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TRIAL|RESULTS",
            help="Trials, none for neighbors on the front; or results folders of other sweeps on the same faces.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Metrics to compare trials in: objectives, and whatever is made of attackers' rank-1 (each one's, the "
            "strongest's, advantage) or of what readers reach and keep (expression_kappa_…, expression_r2_…, "
            "expression_kept…).",
            show_default="the objectives",
        ),
    ] = None,
    attacker: Annotated[
        list[str] | None,
        typer.Option(
            help="Attackers of the sweep among whom rank1_worst and rank1_worst_fused are the largest.",
            show_default="all of them",
        ),
    ] = None,
) -> None:
    """Compare trials pairwise on the same faces, or whole sweeps: differences with 95 % intervals over people.

    Without trials, every configuration of the front is compared with its neighbor. Of several results folders the
    fronts are laid side by side, with their hypervolumes and what the one attains that the other does not.
    """
    with sentences():
        check_choice(metric or (), attacker or ())
        check_results(results, LEDGER)
        trials, folders = told_apart(others or ())
        if folders and (metric or attacker):
            raise ValueError("--metric, --attacker: expected trials of one sweep, got several sweeps; leave them out")
        for folder in folders:
            check_results(folder, LEDGER)
        console = make_console()
        from orchestrator.compare.pairs import compared, gaps, shown  # torch, which --help does without
        from orchestrator.compare.sweeps import read_sweeps, unlike
        from orchestrator.compare.wording import tables

        if folders:
            sweeps = read_sweeps([results, *folders])
            said, laid = unlike(sweeps), tables(sweeps)
        else:
            said, laid = [], [shown(compared(results, trials, metric or (), attacker or ()))]
        for sentence in (*(gap for folder in (results, *folders) for gap in gaps(folder)), *said):
            console.print(sentence, markup=False, soft_wrap=True)
        for table in laid:
            console.print(table)
    delivered()


def check_choice(metrics: Sequence[str], attackers: Sequence[str]) -> None:
    """Check names of metrics and attackers.

    Raises:
        ValueError: if one is unknown or given twice.
    """
    for option, given, known in (("--metric", metrics, METRICS), ("--attacker", attackers, ATTACKER_NAMES)):
        for name in given:
            if name not in known:
                raise ValueError(expected_one_of(option, known, name))
        if len(set(given)) < len(given):
            raise ValueError(f"{option}: expected different names, got {', '.join(given)}")


def told_apart(others: Sequence[str]) -> tuple[list[int], list[Path]]:
    """Tell trials from results folders; a folder whose name is a number is named by a path, as in ./5.

    Raises:
        ValueError: if there are both.
    """
    trials = [int(one) for one in others if one.lstrip("-").isdecimal()]
    folders = [Path(one) for one in others if not one.lstrip("-").isdecimal()]
    if trials and folders:
        raise ValueError(
            f"TRIAL: expected trials of one sweep or results folders of several, got {trials[0]} and {folders[0]}; "
            "compare either"
        )
    return trials, folders


if __name__ == "__main__":
    run_app(app)
