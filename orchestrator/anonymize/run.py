"""One run from options to results: list, claim the place, anonymize what is left, write the manifest, say what came."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from evaluators.networks.catalog.choice import Networks
from evaluators.options import check_values
from orchestrator.anonymize.configuration import configuration_of, quality_of, treatment_of
from orchestrator.anonymize.faces.treatment import Treatment
from orchestrator.anonymize.files import OTHER, PICTURE, STATE, VIDEO, Work, left_over
from orchestrator.anonymize.manifest import Journal, count_done, entry_of, write_manifest
from orchestrator.anonymize.on_ray import joined, treat_on_cluster
from orchestrator.anonymize.options import Anonymization
from orchestrator.anonymize.pictures import CLEAR, COPIED, DONE, FAILED, UNREAD, Keeping, Outcome
from orchestrator.anonymize.workers import treat_all
from orchestrator.cluster.code import code_digest, versions
from orchestrator.cluster.environment import allowed_cores
from orchestrator.processes import quietly
from orchestrator.recommend.recommendation import Recommendation
from orchestrator.records.files import replace_file
from orchestrator.terminal import counted

MANIFEST, PLAN, JOURNAL = "manifest.parquet", "plan.json", "done.jsonl"
NO_PICTURE = "no picture"


def run(settings: Anonymization, networks: Networks, works: Sequence[Work], console: Console) -> None:
    """Anonymize what the options name.

    Args:
        settings: the options.
        networks: folder of models, and which of them serve.
        works: the files of the input.
        console: is told how far it is, and what came.

    Raises:
        ValueError: if the input is bad, or the only picture has no face or cannot be read.
        RuntimeError: if a process died.
    """
    check_values(settings)
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")
    recommendation = configuration_of(settings)
    treatment = treatment_of(settings, networks, recommendation)
    keeping = Keeping(settings.keep_metadata, settings.copy_without_face, quality_of(recommendation.publish))
    processes = settings.processes or allowed_cores()
    with joined(settings.address):
        began, earlier = time.monotonic(), 0
        if not settings.source.is_dir():
            entries = [_single(works[0], settings, treatment, keeping, processes, console)]
            manifest = works[0].target.with_name(f"{works[0].target.name}.{MANIFEST}")
            write_manifest(manifest, entries, _facts(treatment, recommendation))
        else:
            manifest = settings.out / MANIFEST
            with _claimed(settings, _plan(treatment, settings)) as journal:
                left = [work for work in works if work.kind != OTHER and not _finished(work, journal)]
                earlier = sum(len(journal.lines[work.name]["faces"]) for work in works if _finished(work, journal))
                _all(works, left, journal, settings, treatment, keeping, processes, console)
                entries = [journal.lines[work.name] for work in works]
                write_manifest(manifest, entries, _facts(treatment, recommendation))
    for line in summary(entries, time.monotonic() - began, recommendation.publish, earlier=earlier):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"{manifest}", markup=False, soft_wrap=True)


def _single(
    work: Work,
    settings: Anonymization,
    treatment: Treatment,
    keeping: Keeping,
    processes: int,
    console: Console,
) -> dict[str, Any]:
    """Anonymize the only file; what of a folder is listed is here an error."""
    if work.target.exists() and not (settings.overwrite or settings.resume):
        raise ValueError(f"OUT: {work.target} is there already; give --overwrite or another name")
    try:
        work.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"OUT: expected a place that can be written, {work.target.parent}: {error.strerror}") from None
    if settings.resume:
        for path in left_over([work]):
            path.unlink(missing_ok=True)
    outcomes: list[Outcome] = []
    _act([work], treatment, keeping, settings, processes, console, lambda _, outcome: outcomes.append(outcome))
    outcome = outcomes[0]
    if outcome.status in (UNREAD, FAILED):
        raise ValueError(f"IN: expected a {work.kind} that can be read and anonymized, {work.source}: {outcome.why}")
    if outcome.status == CLEAR:
        raise ValueError(
            f"IN: no face was found in {work.source}, and nothing was released; --copy-without-face releases it as it "
            "is, a lower --least-score or a larger --look finds more"
        )
    return entry_of(work, outcome)


def _all(
    works: Sequence[Work],
    left: Sequence[Work],
    journal: Journal,
    settings: Anonymization,
    treatment: Treatment,
    keeping: Keeping,
    processes: int,
    console: Console,
) -> None:
    """Anonymize the files of a folder that are left, which the journal does not have yet."""
    for work in works:
        if work.kind == OTHER:
            journal.lines[work.name] = entry_of(work, Outcome(NO_PICTURE))
    for path in left_over(works):
        path.unlink()
    for folder in {work.target.parent for work in left}:
        folder.mkdir(parents=True, exist_ok=True)
    _act(left, treatment, keeping, settings, processes, console, journal.add)


def _act(
    works: Sequence[Work],
    treatment: Treatment,
    keeping: Keeping,
    settings: Anonymization,
    processes: int,
    console: Console,
    note: Callable[[Work, Outcome], None],
) -> None:
    """Anonymize files and show how far it is: pictures in several processes, then videos one after the other."""
    began, faces = time.monotonic(), 0

    def noted(work: Work, outcome: Outcome) -> None:
        nonlocal faces
        note(work, outcome)
        faces += len(outcome.faces)

    def rate() -> str:
        return f"{faces / max(time.monotonic() - began, 1e-9):.1f} faces/s"

    def following(progress: Callable[[int, int], None], total: int) -> Callable[[Work, Outcome], None]:
        """Note every file that is finished, and count it."""
        count = 0

        def done(work: Work, outcome: Outcome) -> None:
            nonlocal count
            noted(work, outcome)
            count += 1
            progress(count, total)

        return done

    if settings.address is not None:
        every = [work for work in works if work.kind != OTHER]
        with counted(console, "files", total=len(every), also=rate) as progress:
            done = following(progress, len(every))
            unlinkable, most = settings.unlinkable, settings.processes
            treat_on_cluster(treatment, keeping, every, unlinkable=unlinkable, processes=most, done=done)
        return
    pictures = [work for work in works if work.kind == PICTURE]
    if pictures:
        with counted(console, "pictures", total=len(pictures), also=rate) as progress:
            done = following(progress, len(pictures))
            treat_all(treatment, keeping, pictures, processes=processes, done=done)
    films = [work for work in works if work.kind == VIDEO]
    if films:
        from orchestrator.anonymize.video.film import treat_film  # FFmpeg, which pictures do without

        quietly()
    for film in films:
        with counted(console, f"frames of {film.name!r}, twice") as progress:
            outcome = treat_film(
                film, treatment, keeping, threads=processes, unlinkable=settings.unlinkable, done=progress
            )
        noted(film, outcome)


def _finished(work: Work, journal: Journal) -> bool:
    """Tell whether a file needs no more work: what became of it is noted, and its result is there if it has one."""
    entry = journal.lines.get(work.name)
    return entry is not None and (entry["status"] not in (DONE, COPIED) or work.target.exists())


@contextmanager
def _claimed(settings: Anonymization, plan: Mapping[str, Any]) -> Iterator[Journal]:
    """Check and make the folder, keep others out of it, and open the journal; it goes when everything is done.

    Raises:
        ValueError: if it holds something and neither --resume nor --overwrite was given, if there is nothing to resume
            or it was another configuration, if it cannot be written, or if another process works in it.
    """
    folder, state = settings.out, settings.out / STATE
    begun = (state / PLAN).exists()
    if folder.exists() and any(folder.iterdir()) and not (settings.resume or settings.overwrite):
        what = "an unfinished run" if begun else "files"
        raise ValueError(f"OUT: {folder} holds {what} already; give --resume, --overwrite or another folder")
    if settings.resume and not begun:
        if (folder / MANIFEST).exists():
            raise ValueError(f"--resume: everything in {folder} is done; --overwrite does it anew")
        raise ValueError(f"--resume: expected a run in {folder}, which is not there; leave --resume out to start anew")
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = os.open(state / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(f"OUT: expected a folder that can be written, {folder}: {error.strerror}") from None
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"OUT: another process works in {folder}; wait for it or take another folder") from None
        if settings.overwrite:
            for name in (PLAN, JOURNAL):
                (state / name).unlink(missing_ok=True)
            (folder / MANIFEST).unlink(missing_ok=True)
        elif settings.resume:
            before = json.loads((state / PLAN).read_text())
            for name, value in plan.items():
                if before.get(name) != value:
                    raise ValueError(
                        f"--resume: the run in this folder has another {name}: {before.get(name)}, now {value}; give "
                        "--overwrite or another folder"
                    )
        if not settings.resume:
            replace_file(state / PLAN, lambda new: new.write_text(json.dumps(plan)))
        journal = Journal(state / JOURNAL)
        stack.callback(journal.close)
        yield journal
        shutil.rmtree(state)


def _plan(treatment: Treatment, settings: Anonymization) -> dict[str, Any]:
    """Return what a run must be gone on with."""
    return {
        "configuration": repr(treatment.anonymizer),
        "crop_px": treatment.crop_px,
        **{name: getattr(treatment, name) for name in ("look", "least_score", "around", "border")},
        "detector": treatment.networks.settled().detector,
        "source": str(settings.source.resolve()),
        "copy_without_face": settings.copy_without_face,
        "keep_metadata": settings.keep_metadata,
        "unlinkable": settings.unlinkable,
    }


def _facts(treatment: Treatment, recommendation: Recommendation) -> dict[str, Any]:
    """Return what the manifest says of the run; the seed is a secret and stays out."""
    return {
        "method": recommendation.method,
        "hyperparameters": dict(recommendation.hyperparameters),
        "configuration": repr(treatment.anonymizer),
        "crop_px": treatment.crop_px,
        **{name: getattr(treatment, name) for name in ("look", "least_score", "around", "border")},
        "detector": treatment.networks.settled().detector,
        "measured": dict(recommendation.measured),
        "code": code_digest(),
        "versions": versions(),
    }


def summary(
    entries: Sequence[Mapping[str, Any]], seconds: float, publish: str = "png", *, earlier: int = 0
) -> Iterator[str]:
    """Say what came of every file and face.

    Args:
        entries: as the manifest has them.
        seconds: that it took.
        publish: how the released pictures were published when they were measured.
        earlier: faces of them that the run had covered before it was gone on with.
    """
    counts = count_done(entries)
    faces = sum(counts.values())
    rate = f", {(faces - earlier) / max(seconds, 1e-9):.1f} faces/s" if faces > earlier else ""
    by_status = {status: [e for e in entries if e["status"] == status] for status in (DONE, COPIED)}
    released = sum(len(of) for of in by_status.values())
    before = f", {earlier} of them before and the others" if earlier else ""
    yield f"{released} of {len(entries)} files released, {faces} faces in them covered{before} in {seconds:.0f} s{rate}"
    for done, count in counts.items():
        if done != DONE:
            whys = sorted({face[-1] for entry in entries for face in entry["faces"] if face[-2] == done and face[-1]})
            yield f"  {done}: {count}" + (f" ({'; '.join(whys[:3])})" if whys else "")
    for status, hint in (
        (COPIED, "as they are"),
        (CLEAR, "not released; --copy-without-face releases them"),
        (UNREAD, "not released"),
        (FAILED, "not released"),
        (NO_PICTURE, "other files, not released"),
    ):
        named = [entry for entry in entries if entry["status"] == status]
        if named:
            some = ", ".join(repr(entry["file"]) for entry in named[:3]) + (", …" if len(named) > 3 else "")
            yield f"  {status}: {len(named)}, {hint}: {some}"
    if publish != "png":
        yield f"  the configuration was measured as published by {publish}: publish them so, or stronger"
