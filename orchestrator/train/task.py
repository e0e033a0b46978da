"""Task: what one worker needs to train; small enough to send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.networks.catalog.choice import Networks
from evaluators.options import REQUIRED, option
from orchestrator.search.faces import FaceChoice
from orchestrator.search.names import SPACE_NAMES, is_own_space
from orchestrator.search.settings import OWN_SPACE

if TYPE_CHECKING:
    from anonymizers.training.recipe import Recipe, Refining


@dataclass(frozen=True)
class Training:
    """State how generators are trained, beside faces, networks and device."""

    space: str = option(
        REQUIRED,
        "Space whose generators are trained, each variant once.",
        known=SPACE_NAMES,
        unless=is_own_space,
        otherwise=OWN_SPACE,
    )
    variants: tuple[str, ...] = option((), "Only these variants of the space.", flag="--variant", shown="all")
    out: Path | None = option(None, "Folder of the weights.", shown="generator/ of --models, or the project's own")
    steps: int | None = option(
        None, "Steps of each variant.", least=1, shown="900; 1600 for photographs; refined: 1200"
    )
    batch: int | None = option(None, "Faces a step.", least=2, shown="48; 32 for photographs and refined")
    limit: int = option(50_000, "Faces to train on, at most.", flag="--faces", least=1)
    workers: int = option(0, "Processes that train together, by Ray Train; 0: this process, without Ray.", least=0)
    begin: Path | None = option(
        None, "Weights of a generator, of the same width, that sees as much or more, to begin with."
    )
    left_out: str = option(
        "",
        "Judge whom the losses of refined averages do not ask, so that he can be asked afterwards.",
        shown="demo_second_teacher; faceapi for photographs",
    )
    resume: bool = option(False, "Go on from the checkpoints in the folder.")


@dataclass(frozen=True)
class Task:
    """State what one worker needs to train variants; small enough to send.

    Attributes:
        recipes: one per variant.
        training: the options.
        faces: whose background is trained on; the demo's own people without data.
        networks: real ones; None for the demo's.
        out: folder of the weights, checkpoints and samples.
        device: where to train.
        demo: first person, people, and pictures of each, of the demo faces.
    """

    recipes: tuple[Recipe | Refining, ...]
    training: Training
    faces: FaceChoice
    networks: Networks | None
    out: Path
    device: str
    demo: tuple[int, int, int] = (0, 0, 0)
