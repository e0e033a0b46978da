"""Anonymize pictures and videos: `python -m orchestrator.anonymize IN OUT --config recommended.json`."""

from __future__ import annotations

from dataclasses import replace

import typer

from evaluators.networks.catalog.choice import Networks
from evaluators.options import check_values
from orchestrator.anonymize.options import Anonymization
from orchestrator.terminal import make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(settings=Anonymization, networks=(Networks, "models", "detector", "embedder", "teller"))
def main(settings: Anonymization, networks: Networks) -> None:
    """Anonymize every face in pictures and videos by a configuration, as it was measured.

    Each face is brought to the aligned crop that was measured, anonymized, and put back with a soft border. What is not
    in the crop (hair, ears, clothes, the scene) stays. Leaves manifest.parquet, which says of every file and face what
    was done. It may be killed at any time: --resume goes on.
    """
    with sentences(machine=(RuntimeError, OSError), interrupted="interrupted; --resume goes on"):
        from evaluators.networks.catalog.pulling import cache_folder
        from orchestrator.anonymize.files import list_work

        works = list_work(settings.source, settings.out)
        networks = replace(networks, models=networks.models or cache_folder())
        check_values(networks)
        from orchestrator.anonymize.run import run  # torch and ONNX Runtime, which --help and a refusal do without

        run(settings, networks, works, make_console())


if __name__ == "__main__":
    run_app(app)
