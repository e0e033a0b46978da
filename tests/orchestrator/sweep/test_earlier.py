"""Rows of an earlier sweep: taken over, told to the sampler, measured once; and a storage that shows a sweep."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from orchestrator.records.ledger import Ledger
from orchestrator.records.tables import write_tables
from orchestrator.search.folder import rows_before
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.outcome import outcome_of
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.proposals import ANCHORS
from orchestrator.sweep.sampling.mirror import Mirror
from orchestrator.sweep.sweep import Sweep
from search_spaces import SPACES, SearchSpace
from tests.helpers import sample_rows
from tests.helpers.fake_panel import OBJECTIVES, FakePanel
from tests.helpers.people_rows import facts, measured

FACTS: dict[str, Any] = {
    "name": "first",
    "objectives": OBJECTIVES,
    "options": {"--attacker": ["fixed"], "--publish": "png", "--space": "classical", "--sampler": "tpe"},
    "code": "c0de",
    "versions": {"optuna": "5.0.0"},
    "models": {"embedder": "one"},
    "protocol": {"digest": "0f0f"},
}
A = len(ANCHORS)


def sweep_on(ledger: Ledger, space: SearchSpace, sampler: str, **options: Any) -> Sweep:
    progress = PlainProgress(Console(file=StringIO()))
    progress.start({"objectives": OBJECTIVES, "name": "test"}, 10)
    return Sweep(space, OBJECTIVES, ledger, progress, sampler=sampler, trials=10, seed=5, **options)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    with Ledger.create(folder / "ledger.arrow", FACTS) as ledger:
        InProcess(FakePanel).run(sweep_on(ledger, SPACES["classical"], "random"))
    return folder


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc"])
def test_what_was_measured_is_taken_over_and_not_measured_again(sampler: str, results: Path, tmp_path: Path) -> None:
    earlier = rows_before(results, {**FACTS, "name": "second"}, [])
    space = SearchSpace("two", methods=("blur", "k_same"))  # the earlier one pixelated too
    within = [row for row in earlier if row["method"] != "pixelate"]
    extra = len(within) - A
    assert 0 < extra < len(earlier) - A
    facts, panel = {**FACTS, "name": "second", "trials": 10}, FakePanel()
    with Ledger.create(tmp_path / "ledger.arrow", facts) as ledger:
        sweep = sweep_on(ledger, space, sampler, earlier=earlier)
        assert sweep.total == 10 + A + extra and len(sweep.rows) == len(within) and sweep.faces == 0
        for _ in range(4):
            proposal = sweep.propose()
            assert proposal is not None
            sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
    with Ledger.open(tmp_path / "ledger.arrow") as ledger:  # the earlier results may be gone by now
        sweep = sweep_on(ledger, space, sampler)
        assert sweep.total == 10 + A + extra
        InProcess(lambda: panel).run(sweep)
        assert sweep.finished
        sweep.check_closed()
        front = write_tables(ledger.table(), facts, tmp_path)
    assert len(panel.scored) == len(set(panel.scored)) == 10
    assert not set(panel.scored) & {row["anonymizer"] for row in within}
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    taken = [row for row in rows if row["taken_from"] is not None]
    assert [row["taken_from"] for row in taken] == [row["taken_from"] for row in within]
    assert taken[0]["taken_from"] == "first: trial 0"
    for row, was in zip(taken, within, strict=True):
        assert row["rank1_worst"] == was["scores"]["rank1_worst"] and row["anonymizer"] == was["anonymizer"]
    assert all(row["front_probability"] is not None for row in front)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"protocol": {"digest": "abab"}},
            "--warm-start: the sweep in that folder has another protocol: 0f0f",
        ),
        ({"models": {"embedder": "two"}}, "another models"),
        ({"options": {"--attacker": ["fixed", "parrot"], "--publish": "png"}}, "another --attacker"),
        ({"objectives": {**OBJECTIVES, "st_lpips": "min"}}, "expected a sweep that was for st_lpips too"),
    ],
)
def test_numbers_that_do_not_compare_are_refused(changed: dict[str, Any], sentence: str, results: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        rows_before(results, {**FACTS, **changed}, [])
    with pytest.raises(ValueError, match="expected a results folder"):
        rows_before(results / "none", FACTS, [])


def test_objectives_may_be_others_where_people_say_enough(tmp_path: Path) -> None:
    before = {**facts(), **{name: fact for name, fact in FACTS.items() if name != "objectives"}}
    with Ledger.create(tmp_path / "ledger.arrow", before) as ledger:
        for n in range(2):
            one = measured(0.8 - 0.2 * n, 0.5, seed=n)
            ledger.append(sample_rows.row(n, "blur", {"kernel": 5 + 2 * n, "region": "crop"}, one))
    now = {**FACTS, "objectives": {"rank1_fixed": "min", "expression_kappa_facex_shown": "max"}}
    for n, taken in enumerate(rows_before(tmp_path, now, [])):
        assert taken["taken_from"] == f"first: trial {n}"
        assert set(taken["scores"].replicates) == set(now["objectives"])
        mean = float(taken["scores"].replicates["rank1_fixed"].mean())
        assert mean == pytest.approx(measured(0.8 - 0.2 * n, 0.5, seed=n)["rank1_fixed"], abs=0.01)
    with pytest.raises(ValueError, match="was for rank1_worst, expression_kept, and has no draws of people for others"):
        rows_before(tmp_path, {**now, "objectives": {"ssim": "max", "rank1_fixed": "min"}}, [])


@pytest.mark.parametrize("kind", ["sqlite:///{}/study.db", "{}/study.log"])
def test_a_storage_shows_the_sweep_and_follows_after_it_was_away(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, panel = kind.format(tmp_path), FakePanel()
    with Ledger.create(tmp_path / "ledger.arrow", FACTS) as ledger:
        mirror = Mirror(url, "first", OBJECTIVES)
        sweep = sweep_on(ledger, SPACES["classical"], "nsga2", mirror=mirror)
        for step in range(6):
            proposal = sweep.propose()
            assert proposal is not None
            with monkeypatch.context() as patch:
                if step in (3, 5):  # the database is away, once for a while, once when the sweep is killed

                    def away(*given: object) -> None:
                        raise OSError("no route to host")

                    patch.setattr(mirror._storage, "set_trial_state_values", away)
                sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
    with pytest.raises(ValueError, match="has a study first already"):
        Mirror(url, "first", OBJECTIVES)
    with Ledger.open(tmp_path / "ledger.arrow") as ledger:
        sweep = sweep_on(ledger, SPACES["classical"], "nsga2", mirror=Mirror(url, "first", OBJECTIVES, resume=True))
        InProcess(lambda: panel).run(sweep)
        rows = ledger.trials()
    storage = url if "://" in url else optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(url))
    study = optuna.load_study(study_name="first", storage=storage)
    shown = {trial.user_attrs["trial"]: trial for trial in study.get_trials()}
    assert study.metric_names == list(OBJECTIVES) and len(shown) == len(study.get_trials()) == len(rows)
    for row in rows:
        trial = shown[row["trial"]]
        assert trial.user_attrs["anonymizer"] == row["anonymizer"] and trial.state.is_finished()
        assert trial.values == (None if row["status"] == "failed" else [row[name] for name in OBJECTIVES])
        own = {name for name in trial.params if name != "method"}
        assert all(name.startswith(f"{row['method']}.") for name in own) and bool(own) == (row["trial"] >= A)


def test_a_storage_that_cannot_be_opened_is_told() -> None:
    with pytest.raises(ValueError, match="--storage oracle9://x/y: expected a database or a journal file"):
        Mirror("oracle9://x/y", "first", OBJECTIVES)
