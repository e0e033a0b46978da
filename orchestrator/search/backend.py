"""What runs a sweep: its panels stand once it is made, in this process or on Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from anonymizers import Anonymizer
from evaluators.panel import CannotLearnError
from orchestrator.cluster.environment import allowed_cores, set_environment
from orchestrator.search.families import LearnFamilies
from orchestrator.search.make_panel import MakePanel
from orchestrator.search.settings import Machines
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.sweep import Sweep


class Backend(Protocol):
    """What runs sweeps: `InProcess` or `OnRay`."""

    make: Any
    """Made the panels: a `MakePanel`, that knows the families which were learned on the way."""

    def run(self, sweep: Sweep) -> None:
        """Propose, score and finish until nothing is left."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the facts of a panel: networks, device, teacher's calibration."""
        ...

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return pictures for the contact sheet."""
        ...

    def close(self) -> None:
        """Let go of panels."""
        ...


def make_backend(
    make: MakePanel,
    machines: Machines,
    told: Callable[[str], None] = lambda step: None,
    learn: LearnFamilies | None = None,
) -> Backend:
    """Make what runs sweeps; its panels stand when this returns.

    Args:
        make: makes a panel where it will live.
        machines: where that is.
        told: is told of each step.
        learn: learns families first, where panels live, and makes `make` anew.

    Raises:
        ValueError: if an attacker or reader cannot learn on these faces, or the machines do not fit.
    """
    try:
        return _made(make, machines, told, learn)
    except CannotLearnError as error:  # raised here, or in an actor of Ray's
        raise ValueError(str(error)) from None


def _made(make: MakePanel, machines: Machines, told: Callable[[str], None], learn: LearnFamilies | None) -> Backend:
    if machines.backend == "inprocess":
        torch.set_num_threads(min(torch.get_num_threads(), allowed_cores()))
        if learn is not None:
            told(learn.step)
            make = learn()
        told("a panel loads its networks and looks at the clear faces for the first time")
        return InProcess(make)
    set_environment()  # before Ray is imported
    from orchestrator.cluster.on_ray import OnRay

    return OnRay(
        make,
        panels=machines.panels,
        gpus_per_panel=0.0 if machines.device == "cpu" else machines.gpus_per_panel,
        address=machines.address,
        needs_gpu=machines.device == "cuda",
        files=[] if make.networks is None else [str(make.networks.folder)],  # the faces travel with the panels
        told=told,
        first=learn,
    )


def interruptible(backend: Backend, sweep: Sweep) -> bool:
    """Run until the end or Ctrl-C; tell whether it was interrupted."""
    try:
        backend.run(sweep)
    except KeyboardInterrupt:
        return True
    return False
