"""What runs in Ray's processes: the panel actor, and the courier that carries configurations to it and outcomes back.

A courier's process imports Ray Tune and nothing of this program, torch least of all: it starts in half the time. So
this module imports nothing of it either, since Ray looks the actor's class up here; configuration and outcome pass
through the courier as bytes, and the panel's parts are imported where the panel is made.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anonymizers import Anonymizer
    from orchestrator.inprocess import PanelFactory, PanelLike


class PanelActor:
    """Keep one panel on one device; Ray's dashboard shows it by name."""

    def __init__(self, make_panel: bytes) -> None:
        # A pickled reference: Ray keeps its object for good, so that a restarted actor finds it again.
        self.make_panel = ray.cloudpickle.loads(make_panel)

    @functools.cached_property
    def panel(self) -> PanelLike:
        """Make the panel at its first use, so that an error in it reaches the driver with its cause."""
        make: PanelFactory = ray.get(self.make_panel)
        return make()

    def describe(self) -> dict[str, Any]:
        """Return the facts of the panel, once it stands."""
        return self.panel.describe()

    def score(self, anonymizer: bytes) -> bytes:
        """Score a pickled configuration, or say why that failed; returns the pickled outcome."""
        from orchestrator.inprocess import outcome_of

        outcome: bytes = ray.cloudpickle.dumps(outcome_of(self.panel, ray.cloudpickle.loads(anonymizer)))
        return outcome

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB pictures for the contact sheet."""
        return self.panel.released(anonymizer, count)


class Courier(tune.Trainable):  # type: ignore[misc]
    """Carry one configuration to a panel and its outcome back; the process is reused from trial to trial."""

    def setup(self, config: dict[str, Any]) -> None:
        """Remember what to carry."""
        self.carried = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial without a new process."""
        self.carried = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Ask the panel; a panel that died is a failed trial with Ray's reason."""
        panel = ray.get_actor(self.carried["panel"], namespace=self.carried["namespace"])
        try:
            outcome = ray.get(panel.score.remote(self.carried["anonymizer"]))
        except ray.exceptions.RayError as error:
            outcome = ray.cloudpickle.dumps(f"{type(error).__name__}: {error}")
        return {"outcome": outcome, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: a courier has no state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing."""
