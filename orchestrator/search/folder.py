"""The results folder: chosen, made, its ledger created or opened again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.records.copies import copy_in
from orchestrator.records.event_log import LOG
from orchestrator.records.ledger import LEDGER, Ledger
from orchestrator.search.settings import Settings


def open_ledger(settings: Settings, folder: Path, facts: Mapping[str, Any]) -> Ledger:
    """Create the ledger, or open it again and refuse another sweep's."""
    path = folder / LEDGER
    if not settings.resume:
        if settings.overwrite and folder.exists():
            for name in (LEDGER, LOG, "trials.parquet", "front.parquet", "report.html"):
                (folder / name).unlink(missing_ok=True)
        return Ledger.create(path, facts)
    ledger = Ledger.open(path)
    for name, now in facts["options"].items():
        _same(name, ledger.sweep.get("options", {}).get(name), now)
    for name in ("models", "code", "versions"):
        _same(name, ledger.sweep[name], facts[name])
    _same("protocol", ledger.sweep["protocol"]["digest"], facts["protocol"]["digest"])
    return ledger


def _same(name: str, before: Any, now: Any) -> None:
    if before != now:
        raise ValueError(
            f"--resume: the sweep in this folder has another {name}: {before}, now {now}; start anew instead"
        )


def results_folder(settings: Settings, name: str) -> Path:
    """Choose, check and make the results folder.

    Args:
        settings: of the sweep.
        name: of the folder in results/ where --out says none.

    Raises:
        ValueError: if it holds a sweep and neither --resume nor --overwrite was given, if there is nothing to resume,
            or if it cannot be written.
    """
    folder = settings.out
    if folder is None:
        folder = Path("results") / name
        number = 2
        while folder.exists() and not (settings.resume or settings.overwrite):
            folder = Path("results") / f"{name}-{number}"
            number += 1
    if folder.exists() and any(folder.iterdir()) and not (settings.resume or settings.overwrite):
        raise ValueError(f"--out: {folder} holds results already; give --resume, --overwrite or another folder")
    if settings.resume and settings.copy_to and not (folder / LEDGER).is_file():
        copy_in(settings.copy_to, folder)
    if settings.resume and not (folder / LEDGER).is_file():
        raise ValueError(f"--resume: expected {folder / LEDGER}, which is not there; leave --resume out to start anew")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"--out: expected a folder that can be written, {folder}: {error.strerror}") from None
    return folder
