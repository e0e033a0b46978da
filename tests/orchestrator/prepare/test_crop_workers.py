"""Processes that cut: the same shards as one, deaths named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.prepare.crop_workers import Cutter, Task, cut, cut_all
from orchestrator.prepare.faces_file import read_shard
from tests.helpers.prepared_sets import DyingCutter, Whole, WholeCutter, draw

# Several processes.


def tasks_of(tree: Path, folder: Path, size: int) -> tuple[Cutter, list[Task]]:
    from evaluators.datasets.sources.opening import open_source

    folder.mkdir()
    source = open_source(tree)
    count = len(source.pictures)
    tasks = [Task(folder / f"{at}.arrow", at, source.pictures[at : at + size]) for at in range(0, count, size)]
    return WholeCutter(source.root, tree, 112, False), tasks


@pytest.mark.slow
def test_processes_make_the_shards_that_one_would(tree: Path, tmp_path: Path) -> None:
    cutter, tasks = tasks_of(tree, tmp_path / "a", 6)
    seen: list[int] = []
    cut_all(cutter, tasks, processes=2, done=seen.append)
    assert sum(seen) == 40
    for task in tasks:
        mine, theirs = read_shard(task.path), cut(cutter, Whole(), task, lambda count: None)
        assert mine.index.tolist() == theirs.index.tolist() and mine.digest == theirs.digest
        for name in ("image", "context", "landmarks", "score", "faces", "fingerprint"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name


@pytest.mark.slow
@pytest.mark.parametrize(("side", "sentence"), [(77, "code -9 at the picture 'p3/7.png'"), (78, "no such operator")])
def test_a_process_that_dies_names_the_picture(tree: Path, tmp_path: Path, side: int, sentence: str) -> None:
    draw(tree / "p3" / "7.png", 500, side=side)
    cutter, tasks = tasks_of(tree, tmp_path / "a", 10)
    dying = DyingCutter(cutter.root, cutter.models, cutter.size, cutter.one_face)
    with pytest.raises(RuntimeError, match=sentence) as caught:
        cut_all(dying, tasks, processes=1, done=lambda count: None)
    assert "'p3/7.png'; --resume goes on" in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "a").glob("*.arrow")) == ["0.arrow", "10.arrow"]
