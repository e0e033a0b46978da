"""Preflight: before a sweep, every machine of a cluster is asked whether it can take part in it.

    python -m orchestrator.cluster --data faces --models models

`orchestrator.search` asks too, wherever the cluster has more than one machine.
"""

from __future__ import annotations

import typer

from evaluators.networks.catalog.choice import Networks
from orchestrator.cluster.code import PACKAGES, versions
from orchestrator.cluster.environment import check_address
from orchestrator.search.faces import FaceChoice
from orchestrator.search.settings import Machines
from orchestrator.terminal import make_console, options_of, run_app, sentences

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(machines=(Machines, "address", "device"), faces=(FaceChoice, "data"), networks=(Networks, "models"))
def main(machines: Machines, faces: FaceChoice, networks: Networks) -> None:
    """Ask every machine of a cluster whether it can take part in a sweep, and say what is wrong with which.

    Every machine must have the faces and networks that are named.
    """
    console = make_console()
    address = machines.address or "auto"
    with sentences():
        for flag, path in (("--data", faces.data), ("--models", networks.models)):
            if path is not None and not path.exists():
                raise ValueError(f"{flag}: expected a path that is here too, {path} is not there")
        check_address(address)
        import ray  # seconds, which --help does without

        from orchestrator.cluster.environment import join
        from orchestrator.cluster.preflight import check_cluster

        join(address)
        try:
            files = [str(path.resolve()) for path in (faces.data, networks.models) if path]
            nodes = check_cluster(files, device=machines.device)
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
    run_app(app)
