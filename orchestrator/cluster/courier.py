"""The courier: carries one configuration to a panel, and its outcomes back, one for each stage, as Tune's trial.

Its process imports Ray Tune and nothing of this program, torch least of all: configuration and outcome pass through it
as bytes, so it starts in half the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler


class Courier(tune.Trainable):  # type: ignore[misc]
    """Carry one configuration to a panel and its outcomes back; the process is reused from trial to trial."""

    def setup(self, config: dict[str, Any]) -> None:
        """Remember what to carry."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial without a new process."""
        self.carried, self.begun = new_config, False
        return True

    def step(self) -> dict[str, Any]:
        """Ask the panel; one that died or cannot be reached is told with Ray's reason, and whether it died."""
        carried = self.carried
        try:
            panel = ray.get_actor(carried["panel"], namespace=carried["namespace"])
            begins, self.begun = not self.begun, True
            # Ray's dashboard lists the panel's work under this name.
            asking = panel.score.options(name=f"score {carried['what']}")
            answer, done = ray.get(asking.remote(carried["anonymizer"], begins=begins, staged=carried["staged"]))
        except ray.exceptions.RayActorError as error:
            return {"lost": in_one_line(error), "died": isinstance(error, ray.exceptions.ActorDiedError), "done": True}
        except ray.exceptions.OutOfMemoryError as error:  # the machine's, of which the configuration may be the cause
            return {"lost": in_one_line(error), "died": True, "done": True}
        except (ray.exceptions.RayError, ValueError) as error:  # get_actor says ValueError of a name that is gone
            return {"lost": in_one_line(error), "died": False, "done": True}
        return {"answer": answer, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: a courier has no state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing."""


class ParetoRacing(FIFOScheduler):  # type: ignore[misc]
    """Stop a trial by what is known of it after a stage; what decides is asked in the driver."""

    def __init__(self, stops: Callable[[str, dict[str, Any]], bool]) -> None:
        """Ask `stops` with a trial's id and its result."""
        super().__init__()
        self.stops = stops

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide about a trial that is not at its end."""
        return str(self.STOP if self.stops(trial.trial_id, result) else self.CONTINUE)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out who decides where Tune pickles its scheduler."""
        return {}


class Starts(tune.Callback):  # type: ignore[misc]
    """Note in the driver which couriers have started."""

    def __init__(self, starts: Callable[[str], None]) -> None:
        self.starts = starts

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a courier has started, or was used again."""
        self.starts(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out who is told where Tune pickles its callbacks."""
        return {}


def courier_resources() -> dict[str, float]:
    """Return what a courier asks for: next to nothing, on the head node where there is one, which does not go away."""
    head = "node:__internal_head__"
    return {"cpu": 0, head: 0.0001} if head in ray.cluster_resources() else {"cpu": 0.001}


def in_one_line(error: BaseException) -> str:
    """Write an error, with its type, in one line; Ray's own texts span many."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
