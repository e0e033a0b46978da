"""Processes that read pictures, find the faces in them and cut these out, a shard at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from evaluators.datasets.cropping import Cropped, context_margin, crop_face
from evaluators.datasets.duplicates import fingerprints
from evaluators.datasets.sources.listing import Picture, decode, read_bytes
from evaluators.datasets.sources.pictures import UNREADABLE, reason_of
from evaluators.networks.detection import FaceFinder
from evaluators.networks.loaders import load_detector
from orchestrator.prepare.faces_file import Shard, write_shard
from orchestrator.processes import INTERVAL, PATIENCE, quietly, working


@dataclass(frozen=True)
class Cutter:
    """Say how faces are cut out; small enough to send to a process.

    Attributes:
        root: folder to which the pictures' paths are relative.
        models: folder of networks.
        size: side of the aligned crops, px.
        one_face: whether pictures of several faces are refused.
        found_by: which of DETECTORS; "" for the first that is there.
    """

    root: Path
    models: Path
    size: int
    one_face: bool
    found_by: str = ""

    def detector(self) -> FaceFinder:
        """Load the detector, for one thread."""
        return load_detector(self.models, self.found_by, threads=1)


@dataclass(frozen=True)
class Task:
    """Name a shard, and the pictures that it is made of, from position `first` of the source on."""

    path: Path
    first: int
    pictures: Sequence[Picture]


def cut(cutter: Cutter, detector: FaceFinder, task: Task, done: Callable[[int], None]) -> Shard:
    """Make a shard: read, digest, decode, detect, align.

    Args:
        cutter: how.
        detector: finds faces.
        task: what.
        done: called after each picture with 1.
    """
    faces: list[Cropped] = []
    index: list[int] = []
    digests: list[str] = []
    rejected: list[tuple[int, str, str]] = []
    for position, picture in enumerate(task.pictures, start=task.first):
        try:
            data = read_bytes(cutter.root, picture)
            found = crop_face(decode(picture, data), detector, size=cutter.size, one_face=cutter.one_face)
        except UNREADABLE as error:
            rejected.append((position, "unreadable", reason_of(error)))
        else:
            if isinstance(found, str):
                rejected.append((position, found, ""))
            else:
                faces.append(found)
                index.append(position)
                digests.append(hashlib.sha256(data).hexdigest())
        done(1)
    side = cutter.size + 2 * context_margin(cutter.size)
    image = _stack([face.image for face in faces], cutter.size)
    return Shard(
        np.array(index, np.int64),
        image,
        _stack([face.context for face in faces], side),
        np.array([face.landmarks for face in faces], np.float32).reshape(-1, 5, 2),
        np.array([face.score for face in faces], np.float32),
        np.array([face.faces for face in faces], np.int32),
        fingerprints(torch.from_numpy(image)).numpy(),
        digests,
        rejected,
    )


def _stack(crops: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """Return (n, 3, S, S) uint8 of n crops (S, S, 3)."""
    planes = np.empty((len(crops), 3, side, side), np.uint8)
    for crop, channels in zip(crops, planes, strict=True):
        cv2.split(crop, list(channels))
    return planes


def cut_all(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
    """Make shards in several processes, each with its own detector and one thread.

    A process ends by itself when this one is gone. An exception here, Ctrl-C too, ends them all; what they have not
    finished leaves no file with a shard's name.

    Args:
        cutter: how.
        tasks: what, in this order.
        processes: at most so many.
        done: called with the number of pictures that were looked at since the last call.

    Raises:
        ValueError: if a process cannot load the detector.
        RuntimeError: if one dies or fails; the message names the pictures that it was at.
    """

    def make(context: SpawnContext, theirs: Connection) -> _Worker:
        seen = context.RawValue("q", 0)
        return _Worker(context.Process(target=work, args=(cutter, theirs, seen), daemon=True), seen)

    left = list(reversed(tasks))
    with working(min(processes, len(tasks)), make) as workers:
        while workers:
            for line in wait(list(workers), INTERVAL):
                assert isinstance(line, Connection)
                if not _answer(line, workers[line], left):
                    done(workers.pop(line).news())
            done(sum(worker.news() for worker in workers.values()))


@dataclass
class _Worker:
    """Follow a process: how many pictures it has seen, and the shard that it makes."""

    process: SpawnProcess
    seen: Any  # a number in memory that both processes see: messages would wake this one at each picture
    told: int = 0
    task: Task | None = None
    before: int = 0  # what it had seen when it got the task

    def news(self) -> int:
        """Return how many pictures it has seen since the last call."""
        last, self.told = self.told, self.seen.value
        return self.told - last

    def obituary(self) -> str:
        """Say at what the process ended."""
        ended = "a process" if self.process.exitcode is None else f"a process ended with code {self.process.exitcode}"
        if self.task is None:
            return f"{ended} before it began"
        at, of = self.seen.value - self.before, self.task.pictures
        where = f"at the picture {of[at].key!r}" if at < len(of) else f"at the end of {self.task.path.name}"
        return f"{ended} {where}; --resume goes on, fewer --processes need less memory"


def _answer(line: Connection, worker: _Worker, left: list[Task]) -> bool:
    """Take what a process says and give it the next task; tell whether it goes on."""
    try:
        failure = line.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join(PATIENCE)
        raise RuntimeError(worker.obituary()) from None
    if failure is not None:
        raise ValueError(failure) if worker.task is None else RuntimeError(f"{worker.obituary()}: {failure}")
    worker.task = left.pop() if left else None
    worker.before = worker.seen.value
    line.send(worker.task)
    if worker.task is None:
        worker.process.join(PATIENCE)
    return worker.task is not None


def work(cutter: Cutter, line: Connection, seen: Any) -> None:
    """Serve as one of the processes: say None for more, or a sentence on failure, and count the pictures seen."""
    quietly()

    def done(count: int) -> None:
        seen.value += count

    try:
        detector = cutter.detector()
        line.send(None)
        while (task := line.recv()) is not None:
            write_shard(task.path, cut(cutter, detector, task, done), cutter.size)
            line.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the first process is gone
    except Exception as error:
        line.send(str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
