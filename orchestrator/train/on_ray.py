"""Train the generator with several processes or machines: Ray Train's TorchTrainer around the plain loop."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from orchestrator.cluster.environment import set_environment

if TYPE_CHECKING:
    import torch

    from orchestrator.train.task import Task


def train_together(task: Task, workers: int) -> None:
    """Train every variant of a task with so many processes, each on its share of the faces.

    Gradients are averaged over the processes, whose batches are those of the recipe: the first process writes weights,
    checkpoints and samples, into a folder that it must reach.

    Raises:
        RuntimeError: if a process fails.
    """
    set_environment()  # before Ray is imported
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from orchestrator.cluster.environment import join

    ours = not ray.is_initialized()
    if ours:
        join(os.environ.get("RAY_ADDRESS") or None, cpus=workers + 1)  # and one for Train's own process
    gpu = task.device == "cuda"
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"task": replace(task, out=task.out.resolve())},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
        run_config=RunConfig(storage_path=str((task.out / "ray").resolve()), name="train"),
    )
    try:
        trainer.fit()
    finally:
        if ours:
            ray.shutdown()


def _worker(config: dict[str, Any]) -> None:
    """Train in one process of Ray's."""
    import ray.train
    from ray.train.torch import get_device, prepare_model

    from orchestrator.train.work import work

    context = ray.train.get_context()
    work(
        replace(config["task"], device=str(get_device())),
        Console(highlight=False, width=200),
        wrap=prepare_model,
        shard=(context.get_world_rank(), context.get_world_size()),
        agree=lambda count: smallest(count, get_device()),
        told=ray.train.report,
    )


def smallest(count: int, device: torch.device | str = "cpu") -> int:
    """Return the smallest of the counts that the processes of a group have; one alone keeps its own."""
    import torch
    import torch.distributed

    if not torch.distributed.is_initialized():
        return count
    counts = torch.tensor(count, device=device)
    torch.distributed.all_reduce(counts, op=torch.distributed.ReduceOp.MIN)
    return int(counts)
