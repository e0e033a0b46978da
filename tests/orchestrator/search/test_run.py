"""A run with a panel that is a formula: what is found before the work, and what every end leaves."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import Networks
from orchestrator.records.files import LEDGER
from orchestrator.records.ledger import Ledger, read
from orchestrator.search import run as program
from orchestrator.search.checks import IDLE
from orchestrator.search.faces import FaceChoice
from orchestrator.search.folder import OF_A_SWEEP
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.proposals import ANCHORS
from orchestrator.verify import verification
from tests.helpers.fake_panel import FakePanel

MACHINES = Machines(backend="inprocess", device="cpu")


class Panels:
    """Count the panels that were made, and what they scored."""

    def __init__(self) -> None:
        self.made: list[FakePanel] = []

    def __call__(self, make: Any, machines: Any, told: Any, learn: Any) -> InProcess:
        self.made.append(FakePanel())
        backend = InProcess(lambda: self.made[-1])
        backend.make = learn()
        return backend


@pytest.fixture(scope="module")
def protocols() -> list[Protocol]:
    return [demo_protocol(seed=seed, evaluated=6, pictures=4, attacker=4, background=2) for seed in (0, 1)]


@pytest.fixture
def panels(protocols: list[Protocol], monkeypatch: pytest.MonkeyPatch) -> Panels:
    faces, other = protocols
    panels = Panels()
    monkeypatch.setattr(program, "load_protocol", lambda *given: faces)
    monkeypatch.setattr(verification, "fresh_protocol", lambda *given: other)
    for module in (program, verification):
        monkeypatch.setattr(module, "make_backend", panels)
    return panels


def searched(out: Path, **settings: Any) -> int:
    asked = replace(
        Settings(space="classical", out=out, objectives=("rank1_worst", "expression_kappa_adapted")), **settings
    )
    return program.run(asked, FaceChoice(), Networks(), MACHINES, Console(file=io.StringIO()))


def test_a_folder_that_is_replaced_keeps_nothing_of_the_old_sweep(tmp_path: Path, panels: Panels) -> None:
    for name in (*OF_A_SWEEP, LEDGER, f"{LEDGER}.cut-7", "family-blur-0.safetensors"):
        (tmp_path / name).write_text("old")
    (tmp_path / "mine.txt").write_text("not of a sweep")
    assert searched(tmp_path, trials=3, overwrite=True) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["front.parquet", LEDGER, "log.jsonl", "mine.txt", "report.html", "served.parquet", "trials.parquet"]
    )
    assert not any(path.read_bytes() == b"old" for path in tmp_path.iterdir())


def test_a_folder_of_other_files_is_not_overwritten(tmp_path: Path, panels: Panels) -> None:
    (tmp_path / "mine.txt").write_text("not of a sweep")
    with pytest.raises(ValueError, match=r"--overwrite: expected a sweep in .*, there are other files and none"):
        searched(tmp_path, trials=2, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_sweep_goes_on_in_its_own_space(tmp_path: Path, panels: Panels) -> None:
    searched(tmp_path, trials=2)
    objectives = ("rank1_worst", "expression_kappa_adapted")
    asked = Settings(out=tmp_path, resume=True, trials=3, objectives=objectives)  # whose default is another space
    assert program.run(asked, FaceChoice(), Networks(), MACHINES, Console(file=io.StringIO())) == 0
    assert len(read(tmp_path / LEDGER).filter(pc.field("status") == "complete")) == 3 + len(ANCHORS)


def test_a_live_ledger_is_found_before_any_panel_is_made(tmp_path: Path, panels: Panels) -> None:
    searched(tmp_path, trials=2)
    panels.made.clear()
    with Ledger.open(tmp_path / LEDGER) as ledger:
        for how in ({"overwrite": True}, {"resume": True}):
            with pytest.raises(ValueError, match="another process writes to this ledger"):
                searched(tmp_path, **how)
        assert len(ledger.trials()) == 2 + len(ANCHORS)
    assert not panels.made and (tmp_path / "report.html").exists()


def test_another_sweep_is_refused_before_any_panel_is_made(
    tmp_path: Path, panels: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(tmp_path, trials=2)
    panels.made.clear()
    with pytest.raises(ValueError, match="another --objective"):
        searched(tmp_path, resume=True, objectives=("rank1_fixed", "expression_kappa_adapted"))
    monkeypatch.setattr(program, "measuring_digest", lambda: "other")
    with pytest.raises(ValueError, match="another code"):
        searched(tmp_path, resume=True)
    assert not panels.made


def test_resumed_without_a_number_it_has_as_many_trials_as_at_the_start(tmp_path: Path, panels: Panels) -> None:
    searched(tmp_path, trials=4)
    searched(tmp_path, resume=True)
    assert len(pq.read_table(tmp_path / "trials.parquet")) == 4 + len(ANCHORS)
    searched(tmp_path, resume=True, trials=6)
    assert len(pq.read_table(tmp_path / "trials.parquet")) == 6 + len(ANCHORS)
    searched(tmp_path / "grid", sampler="grid", trials=6)
    with pytest.raises(ValueError, match="a grid of 6 points cannot be extended to 9"):
        searched(tmp_path / "grid", sampler="grid", trials=9, resume=True)


def test_a_disk_that_fills_leaves_tables_and_a_sentence(
    tmp_path: Path, panels: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append

    def fills(ledger: Ledger, row: dict[str, Any]) -> None:
        if row["trial"] == 4 and row["status"] == "complete":
            raise OSError(28, "No space left on device")
        append(ledger, row)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", fills)
        with pytest.raises(OSError, match="No space"):
            searched(tmp_path, trials=4)
    assert len(pq.read_table(tmp_path / "trials.parquet")) == 4
    assert (tmp_path / "report.html").exists()
    assert searched(tmp_path, resume=True) == 0
    assert len(pq.read_table(tmp_path / "trials.parquet")) == 4 + len(ANCHORS)


@pytest.mark.parametrize("what", ["out is a file", "copy cannot be written"])
def test_a_place_that_cannot_be_written_is_found_before_any_panel_is_made(
    what: str, tmp_path: Path, panels: Panels
) -> None:
    (tmp_path / "file").touch()
    if what == "out is a file":
        with pytest.raises(ValueError, match=r"expected a folder, .*file is a file"):
            searched(tmp_path / "file")
    else:
        with pytest.raises(ValueError, match="--copy-to file:///proc/nowhere: expected a place"):
            searched(tmp_path / "out", copy_to="file:///proc/nowhere")
    assert not panels.made


def verified(results: Path, **how: Any) -> int:
    return verification.run(results, FaceChoice(), Networks(), MACHINES, Console(file=io.StringIO()), **how)


def test_a_front_is_verified_by_a_sweep_that_can_be_resumed(
    tmp_path: Path, panels: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(tmp_path, trials=8)
    front = pq.read_table(tmp_path / "front.parquet").to_pylist()
    assert len(front) >= 3
    score = FakePanel.score

    def interrupted(panel: FakePanel, anonymizer: Any) -> Any:
        if len(panel.scored) == 2:
            raise KeyboardInterrupt
        return score(panel, anonymizer)

    with monkeypatch.context() as patch:
        patch.setattr(FakePanel, "score", interrupted)
        assert verified(tmp_path) == 130
    assert len([row for row in read(tmp_path / "verified.arrow").to_pylist() if row["status"] == "complete"]) == 2
    with pytest.raises(ValueError, match="the verification here has another seed: 1, not 5"):
        verified(tmp_path, seed=5, resume=True)
    panels.made.clear()
    assert verified(tmp_path, resume=True) == 0
    assert len(panels.made[0].scored) == len(front) - 2
    table = pq.read_table(tmp_path / "verified.parquet")
    assert table["anonymizer"].to_pylist() == [row["anonymizer"] for row in front]
    assert table["trial"].to_pylist() == [row["trial"] for row in front]
    facts = json.loads(table.schema.metadata[b"sweep"])
    assert sum(facts["verified"]["overlap"]["people"].values()) == 0  # each seed of the demo renders other people
    assert facts["verified"]["search"] == {"n_people": 6, "n_gallery": 12, "chance_rank1": 1 / 6}
    assert (tmp_path / "verified.html").exists() and (tmp_path / "curves.parquet").exists()
    with pytest.raises(ValueError, match="attackers of the search or more"):
        verified(tmp_path, attackers=["fixed", "parrot"])


def test_groups_are_kept_with_the_sweep_and_small_ones_said(
    tmp_path: Path, panels: Panels, protocols: list[Protocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IDLE, "demo", {})  # these faces stand for real ones
    table = tmp_path / "people.csv"
    people = sorted({key.partition("/")[0] for key in protocols[0].probe.key})
    table.write_text("who,kind\n" + "\n".join(f"{who},{'ab'[n % 2]}" for n, who in enumerate(people)))
    asked = Settings(space="classical", out=tmp_path / "out", objectives=("rank1_worst", "expression_kappa_adapted"))
    faces, said = FaceChoice(groups=table), io.StringIO()
    assert program.run(replace(asked, trials=2), faces, Networks(), MACHINES, Console(file=said, width=200)) == 0
    assert "--groups: kind a has 3 of the people, fewer than 10: no rates" in said.getvalue()
    facts = json.loads(pq.read_schema(tmp_path / "out" / "trials.parquet").metadata[b"sweep"])
    assert facts["protocol"]["groups"] == {"kind": {"a": 3, "b": 3}}
    assert facts["options"]["--groups"] == str(table)
    table.write_text("who,kind\n" + "\n".join(f"{who},{'ab'[n % 3 > 0]}" for n, who in enumerate(people)))
    with pytest.raises(ValueError, match="--resume: the sweep in this folder has another --groups kind a: 3, now 2"):
        program.run(replace(asked, trials=3, resume=True), faces, Networks(), MACHINES, Console(file=said))
    panels_before = len(panels.made)
    table.write_text("who,kind\nnobody,a\n")
    with pytest.raises(ValueError, match="such as 'nobody'"):
        program.run(replace(asked, out=tmp_path / "new"), faces, Networks(), MACHINES, Console(file=said))
    assert len(panels.made) == panels_before
