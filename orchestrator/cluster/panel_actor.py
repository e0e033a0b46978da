"""The panel actor: keeps one panel resident in a Ray process.

Ray looks the actor's class up here in the couriers too. So this module imports nothing heavy, torch least of all: the
panel's parts are imported where the panel is made, and configuration and outcome pass as bytes.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anonymizers import Anonymizer
    from orchestrator.sweep.outcome import PanelFactory, PanelLike


class PanelActor:
    """Keep one panel on one device; Ray's dashboard shows it by name, and its tasks by the configuration."""

    def __init__(self, make_panel: bytes, neighbors: int) -> None:
        # A pickled reference: the object stays where Ray keeps it, once per node, however many panels fetch it.
        self.make_panel = ray.cloudpickle.loads(make_panel)
        # Torch and ONNX Runtime take their number of threads from here; the panels of a machine share its cores.
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // neighbors))

    @functools.cached_property
    def panel(self) -> PanelLike:
        """Make the panel at its first use, so that an error in it reaches the driver with its cause."""
        make: PanelFactory = ray.get(self.make_panel)
        return make()

    def describe(self) -> tuple[str, dict[str, Any]]:
        """Return the node and the facts of the panel, once it stands."""
        return ray.get_runtime_context().get_node_id(), self.panel.describe()

    def score(self, anonymizer: bytes) -> bytes:
        """Score a pickled configuration, or say why that failed.

        Returns:
            Pickled: `outcome`, as the sweep takes it; `seconds` of work; `notes`, sentences on what was done to get
            there, such as smaller batches.
        """
        from orchestrator.sweep.outcome import notes_of, outcome_of

        start = time.perf_counter()
        outcome = outcome_of(self.panel, ray.cloudpickle.loads(anonymizer))
        answer = {"outcome": outcome, "seconds": time.perf_counter() - start, "notes": notes_of(self.panel)}
        pickled: bytes = ray.cloudpickle.dumps(answer)
        return pickled

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB pictures for the contact sheet."""
        return self.panel.released(anonymizer, count)
