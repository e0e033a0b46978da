"""Verification: every configuration of a front again, nothing lost, the corrected front beside the searched one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from anonymizers import Anonymizer, Blackout, Blur, Identity, Pixelate
from evaluators.metrics.scores import Scores
from orchestrator.records.trials import flat
from orchestrator.search.faces import FaceChoice
from orchestrator.verify import fresh_protocol, read_front, side_by_side, verify
from tests.helpers.fake_panel import OBJECTIVES, FakePanel

FRONT = (Blackout(), Blur(kernel=31), Pixelate(block=14), Pixelate(block=15), Identity())


class OtherPeople(FakePanel):
    """Measure blur worse than the search did."""

    def score(self, anonymizer: Anonymizer) -> Scores:
        scores = super().score(anonymizer)
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


def test_every_configuration_is_measured_again_and_the_front_is_corrected() -> None:
    panel = OtherPeople()
    table = verify(searched(), panel, {"objectives": OBJECTIVES}, Console(file=io.StringIO()))  # type: ignore[arg-type]
    rows = table.to_pylist()
    assert panel.scored == [repr(anonymizer) for anonymizer in FRONT]
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


def test_a_folder_without_a_front_and_faces_of_another_search_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder with front\.parquet"):
        read_front(tmp_path)
    console = Console(file=io.StringIO())
    with pytest.raises(ValueError, match="the search was on demo; give no faces"):
        fresh_protocol({"protocol": {"name": "demo"}}, FaceChoice(data=tmp_path, seed=1), None, console)
    with pytest.raises(ValueError, match="the search was on lfw; give its faces"):
        fresh_protocol({"protocol": {"name": "lfw"}}, FaceChoice(seed=1), None, console)
