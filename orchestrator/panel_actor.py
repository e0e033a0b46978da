"""The panel actor: keeps one panel resident in a Ray process.

Ray looks the actor's class up here in the couriers too. So this module imports nothing heavy, torch least of all: the
panel's parts are imported where the panel is made, and configuration and outcome pass as bytes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import ray

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
