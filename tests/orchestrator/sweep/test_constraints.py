"""A sweep under constraints: rows that break them are known, told to the sampler, and never on the front."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from evaluators.metrics.constraints import constraints_of
from orchestrator.records.ledger import Ledger
from orchestrator.records.tables import write_tables
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.sweep import Sweep
from search_spaces import SPACES
from tests.helpers.fake_panel import OBJECTIVES, FakePanel

TEXTS = ["rank1_worst <= 0.8", "expression_kappa_adapted >= 0.4"]


def constrained(ledger: Ledger, sampler: str = "tpe", trials: int = 24, **options: int | float) -> Sweep:
    progress = PlainProgress(Console(file=StringIO()))
    progress.start({"objectives": OBJECTIVES, "name": "test"}, trials)
    return Sweep(
        *(SPACES["classical"], OBJECTIVES, ledger, progress),
        sampler=sampler,
        trials=trials,
        seed=3,
        constraints=constraints_of(TEXTS),
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "qmc"])
def test_what_breaks_a_constraint_is_told_and_not_on_the_front(sampler: str, tmp_path: Path) -> None:
    facts = {"objectives": OBJECTIVES, "constraints": TEXTS}
    with Ledger.create(tmp_path / "ledger.arrow", facts) as ledger:
        sweep = constrained(ledger, sampler)
        InProcess(FakePanel).run(sweep)
        assert sweep.finished
        front = write_tables(ledger.table(), facts, tmp_path)
        told = sweep.proposals.study.get_trials(deepcopy=False)
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    kept = {
        row["trial"]: row["rank1_worst"] <= 0.8 and row["expression_kappa_adapted"] >= 0.4
        for row in rows
        if row["status"] == "complete"
    }
    assert {row["trial"]: row["feasible"] for row in rows if row["trial"] in kept} == kept
    assert set(kept.values()) == {True, False}
    assert not kept[0] and not kept[1]  # the two ends: everybody is found, nothing is read
    assert front and all(kept[row["trial"]] for row in front) and len(front) == sweep.front.size
    assert all(row["front_probability"] is None for row in rows if not kept.get(row["trial"], False))
    broken = [trial for trial in told if any(value > 0 for value in trial.constraints.values())]
    assert broken and all(set(trial.constraints) == set(TEXTS) for trial in told if trial.values)
    with Ledger.open(tmp_path / "ledger.arrow") as ledger:
        again = constrained(ledger, sampler)
        assert again.finished and again.front.hypervolume == sweep.front.hypervolume
        assert [trial.constraints for trial in again.proposals.study.get_trials()] == [one.constraints for one in told]


def test_a_sweep_ends_when_its_hypervolume_grows_no_more_and_goes_on_without_the_option(tmp_path: Path) -> None:
    facts = {"objectives": OBJECTIVES, "constraints": TEXTS}
    with Ledger.create(tmp_path / "ledger.arrow", facts) as ledger:
        sweep = constrained(ledger, "random", 200, stale_after=12, stale_growth=0.01)
        InProcess(FakePanel).run(sweep)
        assert sweep.spent == "--stop-after-stale" and not sweep.finished
        ended, volume = len(sweep.rows), sweep.front.hypervolume
        assert 15 <= ended < 150
    with Ledger.open(tmp_path / "ledger.arrow") as ledger:
        assert constrained(ledger, "random", 200, stale_after=12, stale_growth=0.01).propose() is None
        earlier = constrained(ledger, "random", 200)
        assert earlier.spent is None and earlier.propose() is not None
        volumes = earlier._volumes
    assert volumes[-1] == volume and volume - volumes[-13] < 0.01 <= volume - volumes[0]
