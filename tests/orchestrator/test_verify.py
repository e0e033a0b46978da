"""Verification: every configuration of a front again, nothing lost, the corrected front beside the searched one."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from anonymizers import Anonymizer, Blackout, Blur, Identity, Pixelate
from evaluators.metrics.curves import Curves
from evaluators.metrics.scores import Scores
from orchestrator.records.ledger import Ledger, read
from orchestrator.records.trials import flat
from orchestrator.search.faces import FaceChoice
from orchestrator.sweep.outcome import outcome_of
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.sweep import Sweep
from orchestrator.verify.tables import curve_table, verified_table
from orchestrator.verify.verification import check_as_strong, check_same_world, read_front
from orchestrator.verify.wording import curse_and_gap, difference_line, gap_line, side_by_side
from search_spaces import SearchSpace
from tests.helpers.fake_panel import OBJECTIVES, FakePanel

FRONT = (Blackout(), Blur(kernel=31), Pixelate(block=14), Pixelate(block=15), Identity())


class OtherPeople(FakePanel):
    """Measure blur worse than the search did."""

    def score(self, anonymizer: Anonymizer) -> Scores:
        curves = {"fixed": Curves(np.array([0.5, 1.0]), np.array([0.1]), np.array([0.4]))}
        scores = replace(super().score(anonymizer), curves=curves)
        if anonymizer.method != "blur":
            return scores
        worse = {**scores.values, "expression_kappa_adapted": 0.0}
        intervals = {**scores.intervals, "expression_kappa_adapted": (-0.01, 0.01)}
        draws = {**scores.replicates, "expression_kappa_adapted": np.full(50, -0.1, np.float32)}
        return replace(scores, values=worse, intervals=intervals, replicates=draws)


def searched() -> list[dict[str, Any]]:
    rows = []
    for trial, anonymizer in enumerate(FRONT):
        measured = FakePanel().score(anonymizer) if anonymizer != Pixelate(block=14) else FakePanel().score(Blackout())
        rows.append(
            flat(
                {
                    "trial": trial,
                    "status": "complete",
                    "error": None,
                    "method": anonymizer.method,
                    "anonymizer": repr(anonymizer),
                    "hyperparameters": anonymizer.hyperparameters(),
                    "scores": measured,
                    "seconds": 0.0,
                }
            )
        )
    return rows


def measured(path: Path, panel: FakePanel, *, most: int = 99) -> Any:
    """Measure the front into a ledger, as a verification does; stop after so many."""
    facts = {"objectives": OBJECTIVES, "name": "test", "protocol": {"name": "demo"}}
    space = SearchSpace("front", configurations=FRONT)
    progress = PlainProgress(Console(file=io.StringIO()))
    progress.start(facts, len(FRONT))
    with Ledger.open(path) if path.is_file() else Ledger.create(path, facts) as ledger:
        sweep = Sweep(space, OBJECTIVES, ledger, progress, sampler="grid", trials=5, seed=1, anchors=False)
        while most and (proposal := sweep.propose()) is not None:
            sweep.finish(proposal.trial, outcome_of(panel, proposal.anonymizer))
            most -= 1
    return read(path)


def test_every_configuration_is_measured_again_and_the_front_is_corrected(tmp_path: Path) -> None:
    panel = OtherPeople()
    measured(tmp_path / "verified.arrow", panel, most=2)
    ledger = measured(tmp_path / "verified.arrow", panel)  # interrupted, and resumed
    assert panel.scored == [repr(anonymizer) for anonymizer in FRONT]
    facts = {"objectives": OBJECTIVES, "protocol": {"name": "demo"}}
    rows = verified_table(searched(), ledger, facts).to_pylist()
    assert [row["anonymizer"] for row in rows] == panel.scored
    by_name = {row["anonymizer"]: row for row in rows}
    failed = by_name[repr(Pixelate(block=14))]
    assert failed["status"] == "failed"
    assert "seven divides it" in failed["error"]
    assert not failed["on_front"]
    blurred = by_name[repr(Blur(kernel=31))]
    assert not blurred["on_front"]  # blackout is as unreadable and more private
    assert blurred["search_expression_kappa_adapted"] > 0.9
    assert blurred["expression_kappa_adapted"] == 0
    assert [row["anonymizer"] for row in rows if row["on_front"]] == [
        repr(a) for a in (Blackout(), Pixelate(block=15), Identity())
    ]
    assert blurred["front_probability"] == 0
    shown = io.StringIO()
    Console(file=shown, width=200).print(side_by_side(searched(), rows, OBJECTIVES))
    assert "3 of 5 configurations stay on the front" in shown.getvalue()
    curves = curve_table(searched(), ledger).to_pylist()
    assert {(c["trial"], c["attacker"], c["kind"]) for c in curves} == {
        (n, "fixed", kind) for n in (0, 1, 3, 4) for kind in ("cmc", "roc")
    }
    assert [c["y"] for c in curves if c["trial"] == 0 and c["kind"] == "cmc"] == [0.5, 1.0]


def test_both_sides_say_people_gallery_and_chance() -> None:
    rows = searched()
    line = difference_line(rows, rows, {"protocol": {"name": "demo"}})
    assert line == ("search: 10 people, gallery of 20, chance 0.100; verified: 10 people, gallery of 20, chance 0.100.")
    assert "people and pictures of the search are among" in difference_line(rows, rows, {"protocol": {"name": "lfw"}})


def test_what_was_luck_and_what_attackers_missed_are_told_apart() -> None:
    before: list[dict[str, Any]] = [{"rank1_worst": 0.10}, {"rank1_worst": 0.40}, {"rank1_worst": 0.2}]
    before.append({"method": "identity", "rank1_worst": 0.5})  # an anchor, whatever it does
    after: list[dict[str, Any]] = [
        {"rank1_fixed": 0.05, "rank1_parrot": 0.16, "rank1_restored": 0.30, "rank1_worst": 0.30},
        {"rank1_fixed": 0.44, "rank1_parrot": None, "rank1_restored": 0.41, "rank1_worst": 0.44},
        {"rank1_fixed": None, "rank1_parrot": None, "rank1_worst": None},  # failed
        {"rank1_fixed": 1.0, "rank1_worst": 1.0},
    ]
    assert curse_and_gap(before, after, ("fixed", "parrot")) == pytest.approx((0.05, 0.07))
    assert "winner's curse +0.050" in gap_line(before, after, ("fixed", "parrot"))
    assert "attacker gap +0.070" in gap_line(before, after, ("fixed", "parrot"))
    assert curse_and_gap(before[2:3], after[2:3], ("fixed",)) == (0.0, 0.0)


def test_fewer_attackers_than_the_search_had_are_refused() -> None:
    check_as_strong(("fixed", "parrot", "held_out"), ("fixed", "parrot"))
    with pytest.raises(ValueError, match="attackers of the search or more, retrained, mapped is missing"):
        check_as_strong(("fixed", "parrot"), ("fixed", "parrot", "retrained", "mapped"))
    with pytest.raises(ValueError, match="attackers of this version, oracle is none; use the version that searched"):
        check_as_strong(("fixed",), ("fixed", "oracle"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "front.parquet: Could not open .* 0 bytes; search --resume writes it again"),
        (b"PAR1 and no more", "Parquet magic bytes not found"),
        ({}, "front.parquet lacks sweep"),
        ({"sweep": "{"}, "front.parquet lacks sweep"),
        ({"sweep": json.dumps({"objectives": OBJECTIVES, "seed": 0, "models": {}})}, "lacks protocol"),
        (
            {"sweep": json.dumps({"objectives": {}, "seed": 0, "models": {}, "protocol": {}}), "method": "mosaic"},
            "expected methods of this version of the program, .* has mosaic; use the version that searched",
        ),
    ],
)
def test_a_front_that_is_damaged_or_anothers_is_refused(
    content: bytes | dict[str, str], sentence: str, tmp_path: Path
) -> None:
    if isinstance(content, bytes):
        (tmp_path / "front.parquet").write_bytes(content)
    else:
        method = content.pop("method", "blur")
        columns = {"trial": [1], "status": ["complete"], "error": [None], "method": [method], "anonymizer": ["a"]}
        pq.write_table(pa.table(columns).replace_schema_metadata(content), tmp_path / "front.parquet")
    with pytest.raises(ValueError, match=sentence):
        read_front(tmp_path)


def test_a_folder_without_a_front_and_faces_of_another_search_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder with front\.parquet"):
        read_front(tmp_path)
    with pytest.raises(ValueError, match="the search was on demo; leave --data out"):
        check_same_world({"protocol": {"name": "demo"}}, FaceChoice(data=tmp_path, seed=1))
    with pytest.raises(ValueError, match="the search was on lfw; give its faces"):
        check_same_world({"protocol": {"name": "lfw"}}, FaceChoice(seed=1))
