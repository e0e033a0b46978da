"""Watch a sweep while it runs: `python -m orchestrator.watch RESULTS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.records.files import LEDGER, check_results
from orchestrator.terminal import delivered, make_console, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    results: Annotated[Path, typer.Argument(help="Results folder of a search, running or ended.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes one that is free.")] = 8266,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but a loopback one shows the results to the network.")
    ] = "127.0.0.1",
) -> None:
    """Serve the report of a sweep, made anew from its ledger whenever a trial ends, until Ctrl-C.

    Nothing but the ledger and the log is read, and nothing is written: the search does not notice. The pictures of the
    front are in report.html, which the search leaves at its end.
    """
    with sentences(machine=(OSError,), interrupted="no longer watched; the search goes on"):
        check_results(results, LEDGER)
        console = make_console()
        from orchestrator.watch.server import serve  # tables and figures, which --help does without

        with serve(results, host=host, port=port) as server:
            console.print(f"watching {results} at {server.address} until Ctrl-C", markup=False, soft_wrap=True)
            delivered()
            server.serve_forever()


if __name__ == "__main__":
    run_app(app)
