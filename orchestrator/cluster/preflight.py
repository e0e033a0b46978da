"""Preflight: what every machine of a cluster has, and what of it does not fit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cluster.code import code_digest, versions
from orchestrator.cluster.courier import in_one_line

LEAST_MEMORY = 2 * 2**30


LEAST_DISK = 2 * 2**30


TIMEOUT = 120.0
"""Seconds that a machine has for its answer."""


@dataclass(frozen=True)
class NodeFacts:
    """Say what a machine has.

    Attributes:
        node: Ray's id of it, and its address.
        python: version, patch level included.
        packages: name -> version of the packages that make a difference.
        code: digest of the program's source files.
        files: path -> digest of the models and faces, "" where one is not there.
        gpus: those that Ray counts there; seen by PyTorch, and whether ONNX Runtime has CUDA.
        memory, disk: free bytes, of RAM and of the folder for temporary files.
    """

    node: str
    python: str
    packages: Mapping[str, str]
    code: str
    files: Mapping[str, str]
    gpus: float
    torch_gpus: int
    onnx_cuda: bool
    memory: int
    disk: int


def look_around(node: str, gpus: float, files: Sequence[str]) -> NodeFacts:
    """Collect the facts of the machine that this runs on."""
    import onnxruntime
    import psutil
    import torch

    return NodeFacts(
        node=node,
        python=platform.python_version(),
        packages=versions(),
        code=code_digest(),
        files={name: digest(Path(name)) for name in files},
        gpus=gpus,
        torch_gpus=torch.cuda.device_count(),
        onnx_cuda="CUDAExecutionProvider" in onnxruntime.get_available_providers(),
        memory=psutil.virtual_memory().available,
        disk=shutil.disk_usage(tempfile.gettempdir()).free,
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and sizes in a folder; "" if nothing is there.

    A folder of faces has too many bytes to read on every machine before every sweep. A file that has the same name and
    size and other content is found when the panel loads it, since every network is checked against its digest.
    """
    sha = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        sha.update(f"{part.relative_to(path).as_posix()} {part.stat().st_size}\n".encode())
    return sha.hexdigest()


def complaints(reference: NodeFacts, nodes: Sequence[NodeFacts], *, device: str = "auto") -> list[str]:
    """Compare machines with the one that the search runs on.

    Args:
        reference: facts of the driver's machine.
        nodes: of every machine of the cluster.
        device: of the panels; a GPU that Ray counts must be visible unless this is "cpu".

    Returns:
        One sentence for each thing that is wrong, naming machine and thing; none if the sweep can begin.
    """
    said = []
    for facts in nodes:
        whose = f"node {facts.node}: "
        if facts.python != reference.python:
            said.append(f"{whose}expected Python {reference.python}, as the search has, found {facts.python}")
        for name, wanted in reference.packages.items():
            if (found := facts.packages.get(name)) != wanted:
                said.append(f"{whose}expected {name} {wanted}, as the search has, found {found or 'none'}")
        if facts.code != reference.code:
            said.append(f"{whose}its code is not the search's; copy the project there again (ray rsync-up)")
        for name, wanted in reference.files.items():
            if not facts.files[name]:
                said.append(f"{whose}expected {name}, which is not there")
            elif facts.files[name] != wanted:
                said.append(f"{whose}{name} is not what it is where the search runs")
        if device != "cpu" and facts.gpus > facts.torch_gpus:
            said.append(f"{whose}Ray counts {facts.gpus:g} GPUs, PyTorch sees {facts.torch_gpus}; check the driver")
        if device != "cpu" and facts.gpus and not facts.onnx_cuda:
            said.append(f"{whose}ONNX Runtime has no CUDA there; install onnxruntime-gpu and nothing that replaces it")
        for name, free, least in (("memory", facts.memory, LEAST_MEMORY), ("disk", facts.disk, LEAST_DISK)):
            if free < least:
                wanted = f"expected at least {least / 2**30:.0f} GiB of free {name}"
                said.append(f"{whose}{wanted}, found {free / 2**30:.1f}")
    return said


def inspect(files: Sequence[str]) -> tuple[list[NodeFacts], list[str]]:
    """Ask every machine of the cluster, all at once.

    Args:
        files: models and faces, as paths that every machine must have.

    Returns:
        The facts of those that answered, and a sentence for each that did not.
    """
    task = ray.remote(look_around)
    asked: dict[Any, str] = {}
    for node in ray.nodes():
        if node["Alive"]:
            name = f"{node['NodeID'][:8]} ({node['NodeManagerAddress']})"
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # No CPU: a machine whose cores are all in use answers too.
            options = task.options(num_cpus=0, scheduling_strategy=strategy, max_retries=0)
            asked[options.remote(name, node["Resources"].get("GPU", 0.0), list(files))] = name
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=TIMEOUT)
    facts, said = [], [f"node {asked[reference]}: no answer within {TIMEOUT:.0f} s" for reference in silent]
    for reference in answered:
        try:
            facts.append(ray.get(reference))
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            said.append(f"node {asked[reference]}: {in_one_line(cause)}")
    return facts, said


def check_cluster(files: Sequence[str], *, device: str = "auto") -> list[NodeFacts]:
    """Ask every machine of the cluster and compare them with this one.

    Raises:
        ValueError: if one does not fit; a sentence for each thing.
    """
    here = look_around("here", 0.0, files)
    nodes, said = inspect(files)
    said += complaints(here, nodes, device=device)
    if said:
        raise ValueError("preflight: the machines of the cluster do not fit together:\n  " + "\n  ".join(said))
    return nodes


def leaving_nodes() -> set[str]:
    """Return the ids of the machines that were given notice, as spot machines are before they are taken away."""
    # Ray tells it nowhere else; its own Train and Serve ask here too.
    return set(ray._private.state.state.get_draining_nodes())
