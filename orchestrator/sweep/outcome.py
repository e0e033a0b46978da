"""What a back end needs of a panel, and what comes of asking it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anonymizers import Anonymizer
from evaluators.metrics.scores import Scores


class PanelLike(Protocol):
    """What a back end needs of a panel; `evaluators.panel.Panel` is one."""

    notes: list[str]
    """What was done to get a score, such as smaller batches; whoever reads it empties it."""

    def score(self, anonymizer: Anonymizer) -> Scores:
        """Measure one configuration."""
        ...

    def stages(self, anonymizer: Anonymizer) -> Iterator[Scores]:
        """Measure one configuration stage by stage; last of all comes what `score` returns."""
        ...

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB: what the method makes of the first probes of different people."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the facts of the panel: networks, device, the teacher's calibration."""
        ...


PanelFactory = Callable[[], PanelLike]
"""Makes a panel where it will live; must be picklable for Ray."""


class First(Protocol):
    """What runs once, where a panel will live, before there are panels; picklable for Ray."""

    @property
    def step(self) -> str:
        """Say what it does, for the terminal."""
        ...

    def __call__(self) -> PanelFactory:
        """Do it, and return what makes panels."""
        ...


def outcome_of(panel: PanelLike, anonymizer: Anonymizer) -> Outcome:
    """Score a configuration; what goes wrong with it becomes the sentence of a failed row, never a score."""
    try:
        return panel.score(anonymizer)
    except Exception as error:  # every failure of a configuration is a counted row; the type and text are kept
        return f"{type(error).__name__}: {error}"


def outcomes_of(panel: PanelLike, anonymizer: Anonymizer) -> Iterator[Outcome]:
    """Score a configuration stage by stage; the last outcome is whole, as `outcome_of` returns it."""
    try:
        yield from panel.stages(anonymizer)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def is_whole(outcome: Outcome) -> bool:
    """Tell an outcome that nothing comes after from what is known after a stage."""
    return isinstance(outcome, str) or not outcome.stage


def notes_of(panel: PanelLike) -> list[str]:
    """Take what a panel noted since it was asked last."""
    taken, panel.notes = panel.notes, []
    return taken


Outcome = Scores | str
"""What a panel answers: scores, or the sentence that says why there are none."""
