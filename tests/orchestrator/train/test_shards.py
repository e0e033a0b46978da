"""Processes that train together meet at the end of each epoch: all take as many steps."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed

from anonymizers import Faces
from anonymizers.training.loop import train
from anonymizers.training.run import Run
from evaluators.demo.nets import load_demo_embedder, load_demo_teacher
from orchestrator.train.on_ray import smallest
from tests.helpers.tiny_training import TINY


@pytest.mark.parametrize(("own", "agreed"), [(18, 17), (17, 17)])
def test_shards_that_differ_by_a_batch_have_epochs_of_the_same_length(
    own: int, agreed: int, faces: Faces, tmp_path: Path
) -> None:
    ends = []
    run = Run(
        *(replace(TINY, steps=6, conditioning="none"), faces.take(torch.arange(own))),
        *(load_demo_embedder().embed, load_demo_teacher().read),
        agree=lambda count: min(count, agreed),
    )
    train(run, tmp_path / "run.ckpt", each_epoch=lambda run, losses: ends.append(run.step_number))
    assert ends == [2, 4, 6]


def agree(rank: int, place: str, count: int, said: multiprocessing.Queue[tuple[int, int]]) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    said.put((rank, smallest(count)))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_agree_on_the_smallest_count(tmp_path: Path) -> None:
    assert smallest(18) == 18  # alone
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    both = [
        context.Process(target=agree, args=(rank, str(tmp_path / "meet"), count, said))
        for rank, count in enumerate((18, 17))
    ]
    for process in both:
        process.start()
    found = dict(said.get(timeout=120) for _ in both)
    for process in both:
        process.join(timeout=60)
    assert found == {0: 17, 1: 17}
