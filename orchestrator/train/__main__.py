"""Train the project's generator: `python -m orchestrator.train --space expression_loss_ablation`."""

from __future__ import annotations

import typer

from evaluators.networks.catalog.choice import Networks
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines
from orchestrator.terminal import make_console, options_of, run_app, sentences
from orchestrator.train.task import Training

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(
    training=Training,
    faces=(FaceChoice, "data", "min_pictures", "seed"),
    networks=(Networks, "models", "embedder", "teacher"),
    machines=(Machines, "device"),
)
def main(training: Training, faces: FaceChoice, networks: Networks, machines: Machines) -> None:
    """Train generators and refined, on people whom no evaluation sees; of band_blur, learn the gains.

    The people are background of every search on the same people, whatever its --seed; with --min-pictures those who
    have as many pictures are left out, for searches that evaluate everybody who has. Leaves
    <variant>.safetensors (averaged weights, with the recipe in the metadata), <variant>.ckpt to go on from, and
    <variant>/ with a sheet of samples per epoch.
    """
    with sentences(
        machine=(RuntimeError, OSError), interrupted="interrupted; --resume goes on from the last checkpoint"
    ):
        from orchestrator.train.work import start  # torch, which --help does without

        start(training, faces, networks, machines, make_console())


if __name__ == "__main__":
    run_app(app)
