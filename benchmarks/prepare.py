"""What preparing costs: pictures/s against the bare detector on the same cores, and memory against the pictures.

uv run python -m benchmarks.prepare SOURCE --models MODELS [--limit N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from evaluators.datasets.listing import decode, read_bytes
from evaluators.datasets.pictures import UNREADABLE
from evaluators.datasets.sources import open_source
from evaluators.zoo import load_detector

DECODED = 400
"""Pictures that a process of the bare detector holds decoded and looks at in turn."""
SECONDS = 20.0
SHARES = (1 / 8, 1)
"""Of the pictures: what the memory of both is compared."""


def detect(source: Path, models: Path, which: int, of: int, limit: int, start: object, rates: object) -> None:
    """Count what one process of the bare detector does per second: nothing but calls on decoded pictures."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    detector, listed = load_detector(models, threads=1), open_source(source)
    pictures = []
    for i in np.linspace(which, min(limit, len(listed.pictures)) - 1, DECODED // of).astype(int):
        try:
            pictures.append(decode(listed.pictures[i], read_bytes(listed.root, listed.pictures[i])).pixels)
        except UNREADABLE:
            continue
    for picture in pictures[:10]:
        detector.detect(picture)
    start.wait()  # type: ignore[attr-defined]
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        detector.detect(pictures[done % len(pictures)])
        done += 1
    rates.put(done / (time.perf_counter() - began))  # type: ignore[attr-defined]


def bare_rate(source: Path, models: Path, processes: int, limit: int) -> float:
    """Return pictures/s of the bare detector in several processes at once."""
    context = multiprocessing.get_context("spawn")
    start, rates = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=detect, args=(source, models, i, processes, limit, start, rates))
        for i in range(processes)
    ]
    for process in started:
        process.start()
    total = sum(rates.get() for _ in started)
    for process in started:
        process.join()
    return total


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


def prepare(source: Path, models: Path, processes: int, limit: int, out: Path) -> tuple[float, float, float]:
    """Run the program; return its seconds, its pictures/s between the first tenth and the last, and its peak in MB."""
    command = [sys.executable, "-m", "orchestrator.prepare", str(source), "--models", str(models), "--out", str(out)]
    command += ["--limit", str(limit), "--processes", str(processes)]
    began, peak, ended = time.perf_counter(), 0.0, threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
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
    return seconds, (all_of_them - few) / (late - early), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    count = len(open_source(chosen.source).pictures)
    count = min(count, chosen.limit or count)
    where = (chosen.source, chosen.models, chosen.processes)
    print(f"{platform.processor() or platform.machine()}, {chosen.processes} processes, {count} pictures")
    bare, peaks = [bare_rate(*where, count)], []
    rate = steady = 0.0
    for share in SHARES:
        pictures = max(1, round(count * share))
        with tempfile.TemporaryDirectory() as folder:
            seconds, steady, peak = prepare(*where, pictures, Path(folder) / "faces")
        rate = pictures / seconds
        peaks.append(peak)
        print(
            f"prepare, {pictures} pictures: {seconds:.1f} s, {rate:.1f} pictures/s, {steady:.1f} once started, "
            f"peak {peak:.0f} MB"
        )
    bare.append(bare_rate(*where, count))
    mean = sum(bare) / len(bare)
    print(f"bare detector, before and after: {bare[0]:.1f} and {bare[1]:.1f} pictures/s")
    print(f"prepare, once started, against the bare detector: {steady / mean:.3f} (goal 0.9)")
    print(f"prepare, from the start of the program to its end, against the bare detector: {rate / mean:.3f}")
    print(f"peak memory, all pictures against an eighth of them: {peaks[-1] / peaks[0]:.3f} (flat: 1)")


if __name__ == "__main__":
    main()
