"""Making a study: its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluators.options import option

FOLDER = "study"
"""Name of a study's folder in the results folder."""


@dataclass(frozen=True)
class Asked:
    """State what a study asks about."""

    configurations: int = option(
        8, "Configurations, both anchors among them, the others from the front, evenly.", least=2, most=40
    )
    trial: tuple[int, ...] = option((), "Trial to ask about instead; several times for several.")
    faces: int = option(
        32, "Faces of different people, each asked about twice; a multiple of twice the configurations.", least=4
    )
    draw: int = option(0, "Seed of the draw of faces, questions and pairs.", least=0)
    consent: Path | None = option(None, "Text file in UTF-8: what participants read and agree to.")
    out: Path | None = option(None, "Folder of the study.", shown=f"RESULTS/{FOLDER}")
    overwrite: bool = option(False, "Replace the study there; answers to it are then of another study.")
