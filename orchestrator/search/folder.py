"""The results folder: chosen, made, its ledger created or opened again."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.options import first_difference
from orchestrator.records.arrow.messages import schema_of, sweep_of
from orchestrator.records.copies import copy_in
from orchestrator.records.event_log import LOG
from orchestrator.records.files import LEDGER, check_free, check_writable, unwritable
from orchestrator.search.settings import Settings

if TYPE_CHECKING:
    from orchestrator.records.ledger import Ledger

VERIFIED = ("verified.arrow", "verified.parquet", "verified.html", "curves.parquet")
"""What a verification leaves beside the front that it verified."""
SERVED = "served.parquet"
"""Who served as what: a row per picture, digests of person, key and pixels, for a verification to tell who is new."""
DERIVED = ("trials.parquet", "front.parquet", "confusions.parquet", "groups.parquet", "report.html")
"""What is written anew from the ledger."""
OF_A_SWEEP = (LOG, SERVED, *DERIVED, *VERIFIED)
"""Files that go with the ledger when a sweep is replaced."""
REST = (f"{LEDGER}.cut-*", "family-*.safetensors")
"""The same, by pattern."""
PACKAGES = ("optuna", "torch", "torchvision", "onnxruntime-gpu", "numpy")
"""Packages whose version may move what is proposed or measured."""
FREE = ("--space", "--sampler", "--objective", "--constraint")
"""Options that may be others in an earlier sweep: they do not decide what a row's numbers mean."""


def open_ledger(settings: Settings, folder: Path, facts: Mapping[str, Any]) -> Ledger:
    """Create the ledger, or open it again and refuse another sweep's."""
    from orchestrator.records.ledger import Ledger  # torch, which a refusal does without

    path = folder / LEDGER
    if not settings.resume:
        ledger = Ledger.create(path, facts, replace=settings.overwrite)
        if settings.overwrite:
            remove(folder, OF_A_SWEEP)
            remove(folder, [path.name for rest in REST for path in folder.glob(rest)])
        return ledger
    ledger = Ledger.open(path)
    try:
        check_same(ledger.sweep, facts)
    except BaseException:
        ledger.close()
        raise
    return ledger


def remove(folder: Path, names: list[str] | tuple[str, ...]) -> None:
    """Remove files that may be there."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def resumed(settings: Settings, folder: Path) -> dict[str, Any] | None:
    """Return the facts of the sweep that goes on, None for a new one or one that is a copy; before anything is loaded.

    Raises:
        ValueError: if another process writes the ledger, or it is damaged.
    """
    path = folder / LEDGER
    if settings.overwrite and path.is_file():
        check_free(path)
    if not settings.resume or not path.is_file():
        return None
    check_free(path)
    return sweep_of(schema_of(path))


def space_before(settings: Settings) -> str | None:
    """Return the space of the sweep that goes on in --out; None where there is none."""
    path = None if settings.out is None or not settings.resume else settings.out / LEDGER
    if path is None or not path.is_file():
        return None
    before: dict[str, str] = sweep_of(schema_of(path)).get("options", {})
    return before.get("--space")


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], option: str = "--resume") -> None:
    """Check that a sweep goes on as what it was, as far as the facts of now are known yet.

    Args:
        before: facts of the sweep that was.
        now: those of the one that is to be.
        option: that asks for the earlier one.

    Raises:
        ValueError: if an option, the faces, a network, the code that measures or a package that matters is another one.
    """
    for name, value in now.get("options", {}).items():
        _same(option, name, before.get("options", {}).get(name), value)
    for name in ("models", "code"):
        if name in now:
            _same(option, name, before[name], now[name])
    for name in PACKAGES if "versions" in now else ():
        _same(option, f"version of {name}", before["versions"].get(name), now["versions"].get(name))
    if "protocol" in now:
        _same(option, "protocol", before["protocol"]["digest"], now["protocol"]["digest"])
        _same(option, "--groups", before["protocol"].get("groups"), now["protocol"].get("groups"))


def _same(option: str, name: str, before: Any, now: Any) -> None:
    if found := first_difference(before, now, name):
        what, was, is_now = found
        where, instead = ("this", "start anew instead") if option == "--resume" else ("that", "leave it out")
        raise ValueError(f"{option}: the sweep in {where} folder has another {what}: {was}, now {is_now}; {instead}")


def check_earlier(results: Path) -> Path:
    """Return the ledger of an earlier sweep.

    Raises:
        ValueError: if there is none, or it is damaged.
    """
    if not (results / LEDGER).is_file():
        raise ValueError(f"--warm-start: expected a results folder with {LEDGER}, {results} has none")
    schema_of(results / LEDGER)
    return results / LEDGER


def rows_before(results: Path, now: Mapping[str, Any], needed: Sequence[str]) -> list[dict[str, Any]]:
    """Read the complete rows of an earlier sweep, in the order of their trials.

    Args:
        results: its folder.
        now: facts of the sweep that starts: options, code, versions, models, protocol and objectives.
        needed: metrics that a row must have, such as what is constrained.

    Returns:
        Rows as the ledger takes them, each with `taken_from`: the name of that sweep and the trial's number.

    Raises:
        ValueError: if there is no sweep, or its numbers do not compare with those of this one; the sentence says why.
    """
    from orchestrator.records.ledger import read, rows_of  # torch, which a refusal does without
    from orchestrator.records.trials import TAKEN_FROM

    table = read(check_earlier(results))
    before = sweep_of(table)
    check_same(before, {"protocol": now["protocol"]}, option="--warm-start")  # other faces change all that follows
    options = {name: value for name, value in now["options"].items() if name not in FREE}
    check_same(before, {**now, "options": options}, option="--warm-start")
    objectives = list(now["objectives"])
    needed = [*needed, *objectives]
    rows = sorted(rows_of(table, objectives), key=lambda row: int(row["trial"]))
    rows = [row for row in rows if row["status"] == "complete"]
    rows = [row for row in rows if all(row["scores"].values[name] is not None for name in needed)]
    others = [name for name in objectives if name not in before["objectives"]]
    if missing := [name for name in others if not rows or any(name not in row["scores"].replicates for row in rows)]:
        raise ValueError(
            f"--warm-start: expected a sweep that was for {', '.join(missing)} too, {results} was for "
            f"{', '.join(before['objectives'])}, and has no draws of people for others"
        )
    return [{**row, TAKEN_FROM: f"{before['name']}: trial {row['trial']}"} for row in rows]


def choose_folder(settings: Settings, name: str) -> Path:
    """Choose the results folder and check it, as far as that can be without writing anything.

    Args:
        settings: of the sweep.
        name: of the folder in results/ where --out says none.

    Raises:
        ValueError: if it holds a sweep and neither --resume nor --overwrite was given, if there is nothing to resume,
            or if it is no folder or cannot be read or written.
    """
    folder = settings.out
    if folder is None:
        folder = Path("results") / name
        number = 2
        while folder.exists() and not (settings.resume or settings.overwrite):
            folder = Path("results") / f"{name}-{number}"
            number += 1
    try:
        there = folder.exists()
        if there and not folder.is_dir():
            raise ValueError(f"--out: expected a folder, {folder} is a file; name another one")
        if not there and folder.is_symlink():
            raise ValueError(f"--out: expected a folder, {folder} is a link that leads to none; name another one")
        filled = there and any(folder.iterdir())
    except OSError as error:
        raise ValueError(f"--out: expected a folder that can be read, {folder}: {error.strerror or error}") from None
    if filled and not (settings.resume or settings.overwrite) and not _is_results(folder):
        raise ValueError(f"--out: expected an empty folder, {folder} holds other files; name another one")
    if filled and not (settings.resume or settings.overwrite):
        raise ValueError(f"--out: {folder} holds results already; give --resume, --overwrite or another folder")
    if filled and settings.overwrite and not _is_results(folder):
        raise ValueError(
            f"--overwrite: expected a sweep in {folder}, there are other files and none; name another --out"
        )
    if settings.resume and settings.copy_to is None:
        _check_resumable(folder)
    for place, option in ((folder, "--out"), (settings.families, "--families")):
        if place is not None:
            _check_place(place, option)
    return folder


def _check_place(folder: Path, option: str) -> None:
    """Check that a folder can be made where an option names it, and nothing is made."""
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir():
        raise unwritable(folder, option, NotADirectoryError(errno.ENOTDIR, f"{above} is a file"))
    if not os.access(above, os.W_OK | os.X_OK):
        raise unwritable(folder, option, PermissionError(errno.EACCES, f"{above} is not yours to write"))


def results_folder(settings: Settings, name: str) -> Path:
    """Choose, check and make the results folder, from its copy where --resume finds none, see `choose_folder`.

    Raises:
        ValueError: as `choose_folder` does, and if it cannot be written after all.
    """
    folder = choose_folder(settings, name)
    if settings.resume and settings.copy_to and not (folder / LEDGER).is_file():
        try:
            copy_in(settings.copy_to, folder)
        except OSError as error:
            raise ValueError(f"--out: expected a copy that can be brought to {folder}: {error}") from None
    if settings.resume:
        _check_resumable(folder)
    check_writable(folder, "--out")
    if settings.families is not None:
        check_writable(settings.families, "--families")
    return folder


def _check_resumable(folder: Path) -> None:
    if not (folder / LEDGER).is_file():
        raise ValueError(f"--resume: expected {folder / LEDGER}, which is not there; leave --resume out to start anew")


def _is_results(folder: Path) -> bool:
    """Tell a folder that a sweep was written to, however early it ended."""
    return any((folder / name).exists() for name in (LEDGER, *OF_A_SWEEP))
