"""Recommend a configuration: `python -m orchestrator.recommend RESULTS --rank1-worst 0.1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.records.files import LEDGER, check_results
from orchestrator.terminal import delivered, make_console, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"ignore_unknown_options": True})
def main(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS --METRIC BOUND …",
            help="Results folder of a search, and what is to be kept: any metric of docs/METRICS.md with a number, as "
            "in --rank1-worst 0.1 or --expression-kept 0.8. At most so much of what is better low, at least so much of "
            "what is better high.",
        ),
    ],
    best: Annotated[
        str, typer.Option(help="Metric in which the best is taken.", show_default="the first objective without a bound")
    ] = "",
    out: Annotated[str, typer.Option(metavar="PATH", help="File.", show_default="RESULTS/recommended.json")] = "",
    face_px: Annotated[
        int,
        typer.Option(
            help="Side of a face in your pictures, px (3.2 times the distance of the eyes), for the command lines of "
            "other programs, whose strength does not follow the face.",
            min=8,
        ),
    ] = 200,
) -> None:
    """Name the configuration that is best among those whose whole interval keeps a bound, and write it down.

    Where the front was verified, the verification's figures decide. Leaves recommended.json, which
    `orchestrator.anonymize --config` applies to pictures and videos.
    """
    with sentences():
        if not arguments[0].startswith("-"):
            check_results(Path(arguments[0]), LEDGER)
        from orchestrator.recommend.choosing import asked, recommend  # torch, which --help does without
        from orchestrator.recommend.recommendation import write
        from orchestrator.recommend.wording import said

        results, bounds = asked(arguments)
        found = recommend(results, bounds, best=best)
        path = Path(out) if out else results / "recommended.json"
        if not path.parent.is_dir() or path.is_dir():
            raise ValueError(f"--out: expected a file in a folder that is there, got {path}")
        write(found.recommendation, path)
        for part in said(found, results, path, face_px=face_px):
            make_console().print(part, soft_wrap=isinstance(part, str), markup=False)
    delivered()


if __name__ == "__main__":
    run_app(app)
