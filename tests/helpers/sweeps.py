"""Sweeps for tests: begun with few options, ended, read whole."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.sweep import Sweep
from search_spaces import SPACES, SearchSpace
from tests.helpers.fake_panel import OBJECTIVES, FakePanel

SEVENS = SearchSpace("sevens", methods=("pixelate",))


def sweep_of(
    ledger: Ledger,
    *,
    space: SearchSpace = SPACES["classical"],
    sampler: str = "tpe",
    trials: int = 12,
    racing: bool = False,
) -> Sweep:
    progress = PlainProgress(Console(file=StringIO()))
    progress.start({"objectives": OBJECTIVES, "name": "test"}, trials)
    return Sweep(space, OBJECTIVES, ledger, progress, sampler=sampler, trials=trials, seed=3, racing=racing)


def ended(ledger: Ledger) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in ledger.trials()]


def whole(folder: Path, **options: Any) -> list[dict[str, Any]]:
    with Ledger.create(folder / "ledger.arrow", {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, **options)
        InProcess(FakePanel).run(sweep)
        assert sweep.finished
        sweep.check_closed()
        return ended(ledger)
