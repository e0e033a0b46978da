"""The loop without Ray: one panel in this process. For debugging, and to see the whole program at once."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizers import Anonymizer
from orchestrator.sweep.interruption import held
from orchestrator.sweep.outcome import PanelFactory, notes_of, outcomes_of
from orchestrator.sweep.sweep import Sweep

log = logging.getLogger(__name__)


class InProcess:
    """Run sweeps with one panel in this process."""

    def __init__(self, make_panel: PanelFactory) -> None:
        self.make = make_panel
        self.panel = make_panel()

    def run(self, sweep: Sweep) -> None:
        """Propose, score, finish, until nothing is left."""
        while True:
            with held():
                proposal = sweep.propose()
            if proposal is None:
                return
            sweep.progress.trial_starts(proposal.trial, proposal.anonymizer)
            log.info("trial starts", extra={"trial": proposal.trial, "anonymizer": repr(proposal.anonymizer)})
            outcome = next(
                outcome
                for outcome in outcomes_of(self.panel, proposal.anonymizer)
                if sweep.ends(proposal.trial, outcome)
            )
            for note in notes_of(self.panel):
                log.warning(note, extra={"trial": proposal.trial})
            with held():
                sweep.finish(proposal.trial, outcome)

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB: what the method makes of the first probes of different people."""
        return self.panel.released(anonymizer, count)

    def describe(self) -> dict[str, Any]:
        """Return the facts of the panel."""
        return self.panel.describe()

    def close(self) -> None:
        """Do nothing: the panel goes with the process."""
