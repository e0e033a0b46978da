"""Preflight: before a sweep, every machine of a cluster is asked whether it can take part in it.

    python -m orchestrator.cluster --data faces --models models

`orchestrator.search` asks too, wherever the cluster has more than one machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import ray
import typer

from orchestrator.cluster.code import PACKAGES, versions
from orchestrator.cluster.environment import join
from orchestrator.cluster.preflight import check_cluster
from orchestrator.terminal import make_console, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    address: Annotated[str, typer.Option(help="Ray cluster to ask.", envvar="RAY_ADDRESS")] = "auto",
    data: Annotated[Path | None, typer.Option(help="Faces that every machine must have.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of networks that every machine must have.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Ask every machine of a cluster whether it can take part in a sweep, and say what is wrong with which."""
    console = make_console()
    with sentences():
        try:
            join(address)
            nodes = check_cluster([str(path.resolve()) for path in (data, models) if path], device=device)
        except ConnectionError as error:
            raise ValueError(f"--address {address}: {error}") from None
        finally:
            ray.shutdown()
    for facts in nodes:
        free = f"{facts.memory / 2**30:.0f} GiB of memory and {facts.disk / 2**30:.0f} GiB of disk free"
        console.print(
            f"{facts.node}: Python {facts.python}, {facts.torch_gpus} GPUs, {free}", markup=False, soft_wrap=True
        )
    packages = ", ".join(f"{name} {version}" for name, version in versions().items() if name in PACKAGES[:3])
    console.print(
        f"{len(nodes)} machines fit together: {packages}, the same code and files", markup=False, soft_wrap=True
    )


if __name__ == "__main__":
    app()
