"""Anonymization: its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluators.options import REQUIRED, option


@dataclass(frozen=True)
class Anonymization:
    """State what is anonymized, and how."""

    source: Path = option(
        REQUIRED,
        "Picture, video, or folder, which is searched to its bottom.",
        argument=True,
        flag="IN",
    )
    out: Path = option(
        REQUIRED, "Where the results go, under the same names; originals are not touched.", argument=True
    )
    config: Path | None = option(None, "recommended.json of orchestrator.recommend.")
    method: str = option("", "Method, where there is no --config, e.g. blur.")
    set: tuple[str, ...] = option((), "Hyperparameter of --method, as in --set kernel=71; once for each.")
    size: int | None = option(
        None, "Side of the aligned crops, px.", least=32, most=1024, shown="112, or the --config's"
    )
    background: Path | None = option(
        None,
        "Faces of other people, for methods that draw from some: a prepared set, or a folder of one folder of pictures "
        "per person.",
    )
    seed: int | None = option(
        None,
        "Secret of yours, from which what is random derives.",
        least=0,
        most=2**53,
        shown="drawn anew, kept nowhere",
    )
    unlinkable: bool = option(
        False, "Draw anew in every frame of a video.", shown="one person of a video keeps one drawn face"
    )
    copy_without_face: bool = option(
        False, "Release pictures and videos in which no face is found.", shown="they are listed, not released"
    )
    keep_metadata: bool = option(
        False, "Keep EXIF, without small pictures in it and makers' notes.", shown="dropped, but for the color profile"
    )
    processes: int | None = option(None, "Processes.", least=1, shown="one per core, of the cluster with --address")
    address: str | None = option(
        None,
        "Ray cluster over whose cores files are spread, e.g. auto; its machines have IN, OUT and networks at the same "
        "paths.",
        shown="this machine, without Ray",
    )
    resume: bool = option(False, "Go on with what was interrupted.")
    overwrite: bool = option(False, "Replace results of the same names.")

    look: int | None = option(
        None,
        "Side at which pictures and frames are looked at for small faces, px.",
        least=320,
        most=8192,
        shown="1280 of pictures, 640 of videos",
        section="Faces",
    )
    least_score: float = option(
        0.3, "Detector's score from which on something is a face.", least=0.05, most=1, section="Faces"
    )
    around: float = option(
        8, "Rim around the crop that is covered too, px of the 112 px crop.", least=0, most=56, section="Faces"
    )
    border: float = option(12, "Soft border behind it, px of the 112 px crop.", least=0, most=56, section="Faces")
