"""Preparation: its options, and what is checked of them before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluators.datasets.sources.archives import ARCHIVES
from evaluators.options import REQUIRED, check_values, expected_one_of, option

FACES = "faces.arrow"
"""Name of a prepared set's file in its folder."""


@dataclass(frozen=True)
class Preparation:
    """State what is prepared, and how."""

    source: str = option(
        REQUIRED,
        "Folder of one folder of pictures per person, folder of CelebA, FER2013 or the Yale faces, a CSV file "
        f"(path,identity,expression; FER2013), or a name to download: {', '.join(ARCHIVES)}.",
        argument=True,
    )
    out: Path | None = option(None, "Folder of the prepared set.", shown="faces/<name>")
    size: int = option(112, "Side of the aligned crops, px; the context crops have 12/7 of it.", least=32, most=1024)
    one_face: bool = option(False, "Reject pictures of several faces.", shown="take the main one")
    processes: int | None = option(None, "Processes.", least=1, shown="one per core")
    limit: int | None = option(None, "Take only so many pictures, the first ones.", least=1)
    depth: int | None = option(
        None,
        "How deep the people's folders lie in SOURCE: 1 for people in it, 2 for parts with people in them.",
        least=1,
        shown="found out where it is plain",
    )
    resume: bool = option(False, "Go on with the set in the folder.")
    overwrite: bool = option(False, "Replace the set in the folder.")
    downloads: Path | None = option(None, "Folder for downloads.", shown="the user's cache")


def check(settings: Preparation, models: Path) -> None:
    """Check what can be checked before anything is read.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    check_values(settings)
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")
    if not Path(settings.source).exists() and settings.source not in ARCHIVES:
        raise ValueError(expected_one_of("SOURCE", ARCHIVES, settings.source, "a folder or a CSV file that is there"))
    if not models.is_dir():
        raise ValueError(
            f"--models: expected a folder of networks, {models} is none; `python -m orchestrator.models list` "
            "says where they come from"
        )
