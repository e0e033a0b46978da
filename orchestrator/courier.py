"""The courier: carries one configuration to a panel, and its outcome back, as Tune's trial.

Its process imports Ray Tune and nothing of this program, torch least of all: configuration and outcome pass through it
as bytes, so it starts in half the time.
"""

from __future__ import annotations

from typing import Any

import ray
from ray import tune


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
