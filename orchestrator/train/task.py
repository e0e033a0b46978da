"""Task: what one worker needs to train; small enough to send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anonymizers.training.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """State what one worker needs to train variants; small enough to send.

    Attributes:
        recipes: one per variant.
        data: prepared set of faces; None for demo faces.
        models: folder of real networks; None for the demo's.
        networks: choice of them, as `load_nets` takes it.
        out: folder of the weights, checkpoints and samples.
        device: where to train.
        min_pictures, seed: of the search whose background is trained on.
        limit: faces to train on, at most.
        resume: go on from checkpoints.
        demo: first person, people, and pictures of each, of the demo faces.
        begin: weights of a generator to begin with; None for a prelude.
    """

    recipes: tuple[Recipe, ...]
    data: Path | None
    models: Path | None
    networks: dict[str, str]
    out: Path
    device: str
    min_pictures: int | None
    seed: int
    limit: int
    resume: bool
    demo: tuple[int, int, int] = (0, 0, 0)
    begin: Path | None = None
