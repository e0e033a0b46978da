"""One preparation from a source to a folder: list, cut out in several processes, find what occurs twice, write."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from evaluators.datasets.sources.archives import ARCHIVES, fetch
from evaluators.datasets.sources.listing import Source
from evaluators.datasets.sources.opening import open_source
from evaluators.networks.catalog.pulling import user_cache
from evaluators.networks.loaders import load_detector
from evaluators.options import first_difference
from orchestrator.cluster.environment import allowed_cores
from orchestrator.prepare.crop_workers import Cutter, Task, cut_all
from orchestrator.prepare.faces_file import REJECTED, read_facts, read_shard
from orchestrator.prepare.join_shards import join_shards
from orchestrator.prepare.options import FACES, Preparation, check
from orchestrator.records.files import replace_file, unwritable
from orchestrator.terminal import counted

WORK = "work"
PLAN = "plan.json"
SHARD = 32
"""Pictures per shard: what a killed process loses at most."""
NAMES = {"source pictures": "number of pictures", "source digest": "list of pictures", "source kind": "kind of source"}
"""Facts of the plan -> what the user calls them."""
PACKAGES = ("torch", "onnxruntime-gpu", "insightface", "opencv-python-headless", "pillow", "numpy", "pyarrow")


def prepare(settings: Preparation, models: Path, console: Console, *, detector: str = "") -> Path:
    """Prepare a set and leave its folder.

    Args:
        settings: the options.
        models: folder of real networks, for the detector.
        console: is told how far it is, and what came of every picture.
        detector: of DETECTORS; "" for the first that is there.

    Returns:
        the folder.

    Raises:
        ValueError: if the input is bad; one sentence says what was expected, what came, and what to do.
        RuntimeError: if a process died.
    """
    check(settings, models)
    finder = load_detector(models, detector, threads=1)  # one that is missing is named before anything is touched
    source = _source(settings, console)
    folder = settings.out or Path("faces") / source.name
    plan = {
        "source": {"kind": source.kind, "pictures": len(source.pictures), "digest": source.digest},
        "size": settings.size,
        "one_face": settings.one_face,
        "detector": {"name": finder.name, "sha256": finder.digest},
        "versions": {name: version(name) for name in PACKAGES},
    }
    with _claimed(folder, settings):
        if (folder / FACES).exists():
            facts = read_facts(folder / FACES)
            _same(facts["plan"], plan)
        else:
            facts = _prepare(settings, models, detector, source, folder, plan, console)
    print_summary(facts, folder, console)
    return folder


def _source(settings: Preparation, console: Console) -> Source:
    """List the source, downloaded if it is one of the names and no path."""
    path = Path(settings.source)
    if not path.exists() and settings.source in ARCHIVES:
        with counted(console, "downloaded", unit=1 << 20) as progress:
            path = fetch(settings.source, settings.downloads or downloads_folder(), progress)
    with console.status("listing pictures"):
        source = open_source(path, depth=settings.depth)
    return source if settings.limit is None else replace(source, pictures=source.pictures[: settings.limit])


@contextmanager
def _claimed(folder: Path, settings: Preparation) -> Iterator[None]:
    """Check and make the folder, and keep others out of it.

    Raises:
        ValueError: if it holds something and neither --resume nor --overwrite was given, if there is nothing to resume,
            if it cannot be written, or if another process prepares it.
    """
    begun = (folder / FACES).exists() or (folder / WORK / PLAN).exists()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out: expected a folder, {folder} is a file")
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if there and not begun and not there <= {FACES, REJECTED, WORK}:  # --overwrite would delete in it
        raise ValueError(
            f"--out: expected an empty folder, or a prepared set, {folder} holds other files; name another"
        )
    if there and not (settings.resume or settings.overwrite):
        raise ValueError(
            f"--out: {folder} holds a prepared set, or a part of one, already; give --resume, --overwrite or another "
            "folder"
        )
    if settings.resume and not begun:
        raise ValueError(f"--resume: expected a set in {folder}, which is not there; leave --resume out to start anew")
    try:
        (folder / WORK).mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / WORK / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise unwritable(folder, "--out", error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ValueError(f"--out: another process prepares {folder}; wait for it or take another folder") from None
    try:
        if settings.overwrite:
            (folder / FACES).unlink(missing_ok=True)
            (folder / REJECTED).unlink(missing_ok=True)
            for file in (folder / WORK).iterdir():
                if file.name != ".lock":
                    file.unlink()
        yield
    finally:
        if (folder / FACES).exists():
            shutil.rmtree(folder / WORK)
        os.close(lock)


def _prepare(
    settings: Preparation,
    models: Path,
    detector: str,
    source: Source,
    folder: Path,
    plan: Mapping[str, Any],
    console: Console,
) -> dict[str, Any]:
    """Cut out what is not cut out yet, and write the files."""
    work = folder / WORK
    if (work / PLAN).exists():
        _same(json.loads((work / PLAN).read_text()), plan)
    else:
        replace_file(work / PLAN, lambda new: new.write_text(json.dumps(plan)))
    for torn in work.glob(".shard-*.new"):
        torn.unlink()
    firsts = range(0, len(source.pictures), SHARD)
    tasks = [Task(work / f"shard-{at:09}.arrow", at, source.pictures[at : at + SHARD]) for at in firsts]
    left = [task for task in tasks if not _whole(task.path)]
    with counted(console, source.name, total=len(source.pictures)) as progress:
        seen = len(source.pictures) - sum(len(task.pictures) for task in left)
        progress(seen, len(source.pictures))

        def done(count: int) -> None:
            nonlocal seen
            seen += count
            progress(seen, len(source.pictures))

        cutter = Cutter(source.root, models, settings.size, settings.one_face, detector)
        cut_all(cutter, left, processes=settings.processes or allowed_cores(), done=done)
    with console.status("looking for pictures that occur twice, and writing"):
        return join_shards(source, folder, [task.path for task in tasks], plan)


def _whole(path: Path) -> bool:
    """Tell whether a shard is there; one that the disk has lost in part is deleted."""
    if not path.exists():
        return False
    try:
        read_shard(path)
    except (pa.ArrowInvalid, OSError):
        path.unlink()
        return False
    return True


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with something else."""
    if found := first_difference(before, now, ""):
        name, was, is_now = found
        raise ValueError(
            f"--resume: the set in this folder has another {NAMES.get(name, name)}: {was}, now {is_now}; give "
            "--overwrite or another folder"
        )


def downloads_folder() -> Path:
    """Return the folder for downloads where none is given."""
    return user_cache("--downloads") / "data"


def print_summary(facts: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Say what came of every picture.

    Args:
        facts: as the set's metadata have them.
        folder: of the set.
        console: to print on.
    """
    lines = [
        f"{facts['name']}: {facts['plan']['source']['pictures']} pictures, "
        f"{facts['n_faces']} faces of {facts['n_people']} people",
        *(f"  rejected, {reason}: {count}" for reason, count in facts["rejected_reasons"].items()),
    ]
    if facts["n_several_faces"]:
        lines.append(f"  several faces, of which the main one was taken: {facts['n_several_faces']}")
    if facts["n_repeated"]:
        lines.append(f"  repeat a picture of the same person; no split puts these on two sides: {facts['n_repeated']}")
    lines += [f"  ignored, {what}: {count}" for what, count in facts["ignored"].items()]
    if facts["no_split"]:
        lines.append(f"  cannot serve as --data of a search: {facts['no_split'].removeprefix('--data: ')}")
    size = (folder / FACES).stat().st_size
    lines.append(f"{folder}/{FACES} ({size / 1e6:,.0f} MB), {REJECTED}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
