"""The panel actor: keeps one panel resident in a Ray process.

Ray looks the actor's class up here in the couriers too. So this module imports nothing heavy, torch least of all: the
panel's parts are imported where the panel is made, and configuration and outcome pass as bytes.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ray

from orchestrator.cluster.environment import allowed_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anonymizers import Anonymizer, Faces
    from orchestrator.cluster.preflight import NodeFacts
    from orchestrator.sweep.outcome import PanelFactory, PanelLike


def share_cores(neighbors: int) -> None:
    """Let the panels of a machine share its cores; Torch and ONNX Runtime take their number of threads from here."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, allowed_cores() // neighbors))
    if "torch" in sys.modules:  # which has read it already
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def arrays_of(faces: Faces) -> dict[str, Any]:
    """Take faces apart into arrays, which Ray keeps once per machine and maps into the memory of every panel."""
    tensors = {"images": faces.images, "identity": faces.identity, "expression": faces.expression}
    arrays = {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
    signals = {name: signal.contiguous().numpy() for name, signal in faces.signals.items()}
    return {**arrays, "key": faces.key, "signals": signals}


def faces_of(arrays: Mapping[str, Any]) -> Faces:
    """Put faces together again, without a copy; nobody writes to them, and nobody can."""
    import warnings

    import torch

    from anonymizers import Faces

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = {name: torch.from_numpy(arrays[name]) for name in ("images", "identity", "expression")}
        signals = {name: torch.from_numpy(signal) for name, signal in arrays["signals"].items()}
    return Faces(**tensors, key=arrays["key"], signals=signals)


def first_of(first: bytes) -> PanelFactory:
    """Run what comes before the panels, which a pickled reference names; the machine is still all its own."""
    share_cores(1)
    what: Any = ray.get(ray.cloudpickle.loads(first))
    made: PanelFactory = what()
    return made


class PanelActor:
    """Keep one panel on one device; Ray's dashboard shows it by name, and its tasks by the configuration."""

    def __init__(self, make_panel: bytes, neighbors: int = 1) -> None:
        # A pickled reference: the object stays where Ray keeps it, once per node, however many panels fetch it.
        self.make_panel = ray.cloudpickle.loads(make_panel)
        share_cores(neighbors)

    @functools.cached_property
    def panel(self) -> PanelLike:
        """Make the panel at its first use, so that an error in it reaches the driver with its cause."""
        make: PanelFactory = ray.get(self.make_panel)
        return make()

    def arrive(self, files: Sequence[str], known: Collection[str]) -> tuple[str, NodeFacts | None]:
        """Return on which machine this is, and what it has unless it is among those that are known."""
        from orchestrator.cluster.preflight import look_around

        context = ray.get_runtime_context()
        node = context.get_node_id()
        if node in known:
            return node, None
        here = next(n for n in ray.nodes() if n["NodeID"] == node)
        name = f"{node[:8]} ({here['NodeManagerAddress']})"
        return node, look_around(name, here["Resources"].get("GPU", 0.0), files)

    def describe(self, neighbors: int) -> dict[str, Any]:
        """Return the facts of the panel, once it stands.

        Args:
            neighbors: panels of this machine, this one among them.
        """
        share_cores(neighbors)
        return self.panel.describe()

    def score(self, anonymizer: bytes, *, begins: bool = True, staged: bool = False) -> tuple[bytes, bool]:
        """Score a pickled configuration, to its end or by one more stage, or say why that failed.

        Args:
            anonymizer: pickled.
            begins: whether this is its first stage; what was left of another one is forgotten.
            staged: whether to answer after each stage.

        Returns:
            Pickled: `outcome`, as the sweep takes it; `seconds` of work so far; `notes`, sentences on what was done to
            get there so far, such as smaller batches. And whether nothing comes after it.
        """
        from orchestrator.sweep.outcome import is_whole, notes_of, outcome_of, outcomes_of

        start = time.perf_counter()
        if begins:
            made = ray.cloudpickle.loads(anonymizer)
            self.worked, self.noted = 0.0, list[str]()
            self.outcomes = outcomes_of(self.panel, made) if staged else iter([outcome_of(self.panel, made)])
        outcome = next(self.outcomes)
        self.worked += time.perf_counter() - start
        self.noted += notes_of(self.panel)
        answer = {"outcome": outcome, "seconds": self.worked, "notes": self.noted}
        return ray.cloudpickle.dumps(answer), is_whole(outcome)

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB pictures for the contact sheet."""
        return self.panel.released(anonymizer, count)
