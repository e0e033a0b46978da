"""What preparing costs: pictures/s against the bare detector on the same cores, and memory against the pictures.

uv run python -m benchmarks.prepare SOURCE --models MODELS [--limit N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from anonymizers import TEMPLATE_SIZE
from evaluators.datasets.sources.listing import Source, decode, read_bytes
from evaluators.datasets.sources.opening import open_source
from orchestrator.prepare.crop_workers import Cutter, Task, cut
from orchestrator.prepare.faces_file import write_shard

BLOCK = 32
"""Pictures that are looked at in a row, by the bare detector and by the whole of preparing in turn."""
ROUNDS = 40
WARM = 2
"""Rounds that do not count."""
INTERVAL = 0.5
"""Seconds between two looks at the memory; looking costs the cores some time too."""
SHARES = (1 / 8, 1)
"""Of the pictures: what the memory of both is compared."""


@dataclass(frozen=True)
class Bare:
    """What the bare detector does in all processes at once, and how many times longer it takes to prepare a picture."""

    rate: float
    cpu: float
    ratio: float


def alternate(cutter: Cutter, source: Source, first: int, start: Any, found: Any) -> None:
    """Look at blocks of decoded pictures with nothing but the detector, and prepare as many files, in turn."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    detector = cutter.detector()
    decoded = [decode(p, read_bytes(source.root, p)).pixels for p in source.pictures[first : first + 8 * BLOCK]]
    wall, cpu = np.zeros((ROUNDS, 2)), np.zeros((ROUNDS, 2))
    with tempfile.TemporaryDirectory() as folder:
        start.wait()
        for k in range(ROUNDS):
            at = first + BLOCK * k
            task = Task(Path(folder) / f"{at}.arrow", at, source.pictures[at : at + BLOCK])
            for which in (0, 1):
                began, used = time.perf_counter(), time.process_time()
                if which == 0:
                    for i in range(len(task.pictures)):
                        detector.detect(decoded[(BLOCK * k + i) % len(decoded)])
                else:
                    write_shard(task.path, cut(cutter, detector, task, lambda count: None), cutter.size)
                wall[k, which], cpu[k, which] = time.perf_counter() - began, time.process_time() - used
    found.put((wall[WARM:].mean(0), cpu[WARM:].mean(0)))


def bare(cutter: Cutter, source: Source, processes: int) -> Bare:
    """Run that in several processes at once."""
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(processes), context.Queue()
    firsts = np.linspace(0, len(source.pictures) - ROUNDS * BLOCK, processes).astype(int).tolist()
    started = [context.Process(target=alternate, args=(cutter, source, at, start, found)) for at in firsts]
    for process in started:
        process.start()
    answers = [found.get() for _ in started]
    for process in started:
        process.join()
    wall, cpu = (np.array(values) / BLOCK for values in zip(*answers, strict=True))
    return Bare(float((1 / wall[:, 0]).sum()), float(cpu[:, 0].mean()), float(wall[:, 0].sum() / wall[:, 1].sum()))


def anonymous(pid: int) -> float:
    """Return MB of memory that a process and its children hold, without what is mapped from files."""
    total = 0.0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total = next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0.0  # it has just ended
    return total + sum(anonymous(int(child)) for child in children)


@dataclass(frozen=True)
class Cost:
    """What a run of the program took: wall seconds, pictures/s between the first tenth and the last, CPU s, MB.

    `ending` is the wall seconds after the last picture: looking for pictures that occur twice, and writing the file.
    """

    pictures: int
    seconds: float
    steady: float
    cpu: float
    peak: float
    ending: float


def prepare(source: Path, models: Path, processes: int, limit: int, out: Path) -> Cost:
    """Run the program."""
    command = [sys.executable, "-m", "orchestrator.prepare", str(source), "--models", str(models), "--out", str(out)]
    command += ["--limit", str(limit), "--processes", str(processes)]
    began, used, peak, ended = time.perf_counter(), cpu_of_children(), 0.0, threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        nonlocal peak
        while not ended.wait(INTERVAL):
            peak = max(peak, anonymous(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    tenths = []
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r": (\d+) of \d+, \d+ per second", line):
            tenths.append((int(found[1]), time.perf_counter()))
        else:
            print(f"    {line.rstrip()}")
    code = process.wait()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"prepare ended with code {code}")
    (few, early), (all_of_them, late) = tenths[1], tenths[-1]
    return Cost(
        limit, seconds, (all_of_them - few) / (late - early), cpu_of_children() - used, peak, began + seconds - late
    )


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that have ended, and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    source = open_source(chosen.source)
    count = min(len(source.pictures), chosen.limit or len(source.pictures))
    if count < ROUNDS * BLOCK:
        raise SystemExit(f"--limit: expected at least {ROUNDS * BLOCK} pictures, got {count}")
    source = replace(source, pictures=source.pictures[:count])
    cutter = Cutter(source.root, chosen.models, TEMPLATE_SIZE, one_face=False)
    print(f"{platform.processor() or platform.machine()}, {chosen.processes} processes, {count} pictures")
    bares = [bare(cutter, source, chosen.processes)]
    costs = []
    for share in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            cost = prepare(chosen.source, chosen.models, chosen.processes, round(count * share), Path(folder) / "faces")
        costs.append(cost)
        print(
            f"prepare, {cost.pictures} pictures: {cost.seconds:.1f} s, {cost.pictures / cost.seconds:.1f} pictures/s, "
            f"{cost.steady:.1f} once started, {cost.ending:.1f} s after the last; {cost.cpu:.1f} CPU s; "
            f"peak of own memory {cost.peak:.0f} MB"
        )
    bares.append(bare(cutter, source, chosen.processes))
    rate, cpu, ratio = (sum(getattr(b, name) for b in bares) / len(bares) for name in ("rate", "cpu", "ratio"))
    few, every = costs
    print(f"bare detector, before and after: {bares[0].rate:.1f} and {bares[1].rate:.1f} pictures/s")
    print("prepare against the bare detector (goal 0.9):")
    print(f"    in turn with it, block by block, in the same processes: {ratio:.3f}")
    print(f"    the program once started: {every.steady / rate:.3f}")
    print(f"    the program from its start to its end: {every.pictures / every.seconds / rate:.3f}")
    print(f"    the same per CPU second: {every.pictures * cpu / every.cpu:.3f}")
    print(f"peak memory, all pictures against an eighth of them: {every.peak / few.peak:.3f} (flat: 1)")


if __name__ == "__main__":
    main()
