"""Sweeps side by side: who may be compared, hypervolumes, and what one front attains beside another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from orchestrator.compare.__main__ import app
from orchestrator.compare.sweeps import (
    attained,
    attainment,
    dominating,
    hypervolumes,
    read_sweeps,
    side_by_side,
    unlike,
)
from orchestrator.records.ledger import Ledger
from tests.helpers.sample_rows import SWEEP, row, scores


def made(folder: Path, points: Sequence[tuple[float, float]], seed: int = 0, **facts: Any) -> Path:
    with Ledger.create(folder / "ledger.arrow", {**SWEEP, "name": folder.name, **facts}) as ledger:
        ledger.append(row(0, "blackout", {}, scores(0.0063, 0.0, replicates=200)))
        for n, (privacy, utility) in enumerate(points):
            outcome = scores(privacy, utility, seed=seed + n + 1, replicates=200)
            ledger.append(row(n + 1, "blur", {"kernel": 5 + 2 * n}, outcome))
    return folder


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    better = made(tmp_path / "better", [(0.2, 0.5), (0.5, 0.8)], seed=10)
    return [better, made(tmp_path / "worse", [(0.3, 0.4), (0.1, 0.2), (0.6, 0.9)], seed=20)]


def test_volumes_are_those_of_rectangles_with_intervals_around_them(two: list[Path]) -> None:
    sweeps = read_sweeps(two)
    for found, volume in zip(
        hypervolumes(sweeps), (0.3 * 0.5 + 0.5 * 0.8, 0.2 * 0.2 + 0.3 * 0.4 + 0.4 * 0.9), strict=True
    ):
        assert found["hypervolume"] == pytest.approx(volume, abs=1e-6)
        assert found["low"] < volume < found["high"] and found["high"] - found["low"] < 0.2
    assert [found["trials"] for found in hypervolumes(sweeps)] == [2, 3]


def test_what_all_share_cancels_between_sweeps(tmp_path: Path) -> None:
    # A point of the one has the draws of the same point of the other: all that is left is the second point of one.
    folders = [
        made(tmp_path / name, points, seed=3) for name, points in (("a", [(0.3, 0.6)]), ("b", [(0.3, 0.6), (0.9, 0.7)]))
    ]
    there, back = attainment(read_sweeps(folders))
    assert there["alone"] == there["low"] == there["high"] == 0.0
    assert back["alone"] == pytest.approx(0.1 * 0.1) and 0.002 < back["low"] < 0.01 < back["high"] < 0.03
    assert there["difference"] == pytest.approx(-0.01) and there["larger"] == 0.0 and back["larger"] == 1.0
    alone = hypervolumes(read_sweeps(folders))[0]
    assert alone["high"] - alone["low"] > 2 * (there["difference_high"] - there["difference_low"])


def test_what_one_attains_beside_the_other(two: list[Path]) -> None:
    there, back = attainment(read_sweeps(two))
    assert (there["label"], there["other"], there["dominated"], there["of"]) == ("better", "worse", 0, 2)
    assert (back["dominated"], back["of"]) == (1, 3)  # 0.3, 0.4 by 0.2, 0.5
    both = 0.1 * 0.2 + 0.3 * 0.5 + 0.1 * 0.8 + 0.4 * 0.9
    assert there["alone"] == pytest.approx(both - 0.52, abs=1e-6)
    assert back["alone"] == pytest.approx(both - 0.55, abs=1e-6)
    assert there["difference"] == pytest.approx(0.03, abs=1e-6) == -back["difference"]
    assert there["difference_low"] < 0.03 < there["difference_high"] and there["larger"] + back["larger"] == 1.0
    rows = side_by_side(read_sweeps(two))
    assert [one["row"]["rank1_worst"] for one in rows] == [0.1, 0.2, 0.3, 0.5, 0.6]
    (by,) = (one["by"] for one in rows if one["by"])
    assert by.keys() == {"better"} and by["better"] > 0.95


def test_equal_points_do_not_dominate_each_other() -> None:
    points = np.array([[0.5, 0.5], [0.2, 0.1]])
    assert not dominating(points, points, ["min", "max"]).any()
    drawn = np.stack([points, points + np.array([[0.1, 0.0], [0.0, 0.0]])], axis=2)
    assert dominating(drawn, points[:, :, None], ["min", "max"]).tolist() == [[False, True], [False, False]]


def test_repeated_sweeps_of_one_name_have_an_attainment(tmp_path: Path) -> None:
    points = ([(0.2, 0.4)], [(0.4, 0.6)], [(0.3, 0.3)])
    folders = [
        made(tmp_path / part / "run", own, seed=9 * n) for n, (part, own) in enumerate(zip("abc", points, strict=True))
    ]
    sweeps = read_sweeps(folders)
    assert [sweep.label for sweep in sweeps] == [str(folder) for folder in folders]
    levels = {one["level"]: one for one in attained(sweeps)}
    # Two of three reach 0.4 at 0.4 and 0.3 at 0.3, all reach 0.3 at 0.4; blackout is in all.
    surfaces = {name: sorted(map(tuple, one["points"].round(6).tolist())) for name, one in levels.items()}
    assert (0.2, 0.4) in surfaces["best"] and (0.4, 0.6) in surfaces["best"]
    assert (0.3, 0.3) in surfaces["median"] and (0.4, 0.4) in surfaces["median"]
    assert (0.4, 0.3) in surfaces["worst"] and len([point for point in surfaces["worst"] if point[1] > 0]) == 1
    assert levels["best"]["hypervolume"] > levels["median"]["hypervolume"] > levels["worst"]["hypervolume"]
    assert not attained(sweeps[:1])
    said = CliRunner().invoke(app, [str(folder) for folder in folders])
    assert said.exit_code == 0 and "Empirical attainment" in said.output, said.output


def test_sweeps_that_do_not_compare_are_refused_by_name(two: list[Path], tmp_path: Path) -> None:
    others = {
        "faces": {"protocol": {**SWEEP["protocol"], "digest": "1f" * 32, "n_people": 99}},
        "aims": {"objectives": {"rank1_worst": "min", "ssim": "max"}},
    }
    for name, facts in others.items():
        made(tmp_path / name, [(0.5, 0.5)], **facts)
    with pytest.raises(ValueError, match=r"faces was on others than better \(digest: 1f1f.*compare sweeps of the same"):
        read_sweeps([*two, tmp_path / "faces"])
    with pytest.raises(ValueError, match="same objectives, aims has rank1_worst, ssim and better rank1_worst"):
        read_sweeps([*two, tmp_path / "aims"])
    with pytest.raises(ValueError, match="better twice"):
        read_sweeps([*two, two[0] / "." / ".." / "better"])
    with pytest.raises(ValueError, match=r"expected a folder with ledger.arrow"):
        read_sweeps([*two, tmp_path / "nowhere"])
    other = made(tmp_path / "few", [])
    with Ledger.open(other / "ledger.arrow") as ledger:
        ledger.append(row(1, "blur", {"kernel": 5}, dataclasses.replace(scores(0.1, 0.2, replicates=200))))
    for arguments, words in (([*two, "3"], "got 3 and"), ([tmp_path / "faces", two[0]], "was on others than faces")):
        refused = CliRunner().invoke(app, list(map(str, arguments)))
        assert refused.exit_code == 2 and words in refused.stderr


def test_what_was_measured_otherwise_is_said(tmp_path: Path) -> None:
    one = made(tmp_path / "one", [(0.5, 0.5)], attackers=["fixed", "undone"])
    other = made(tmp_path / "other", [(0.5, 0.5)], attackers=["fixed"], code="decaf")
    said = unlike(read_sweeps([one, other]))
    assert said == [
        "other differs from one in attackers (fixed, not fixed, undone): against fewer of them privacy seems greater",
        "other differs from one in code (decaf, not c0ffee): the measuring code is another",
    ]


def test_the_command(two: list[Path]) -> None:
    said = CliRunner().invoke(app, list(map(str, two)))
    assert said.exit_code == 0, said.output
    assert "0.550" in said.output and "0 of 2" in said.output and "1 of 3" in said.output
    assert "Empirical" not in said.output
    told = " ".join(said.output.split())
    assert f"{two[0]}: 3 of 15 trials have ended" in told and f"{two[1]}: 4 of 15 trials" in told


def test_three_objectives_compare_too(tmp_path: Path) -> None:
    three = {"objectives": {"rank1_worst": "min", "expression_kappa_adapted": "max", "mse": "min"}}
    folders = [
        made(tmp_path / part / "run", [(0.2 + n / 10, 0.5), (0.5, 0.8)], 9 * n, **three) for n, part in enumerate("ab")
    ]
    sweeps = read_sweeps(folders)
    there, back = attainment(sweeps)
    assert there["alone"] > 0 == back["alone"] and (there["dominated"], back["dominated"]) == (0, 1)
    levels = {one["level"]: one["hypervolume"] for one in attained(sweeps)}
    assert levels["best"] == pytest.approx(hypervolumes(sweeps)[0]["hypervolume"])
    assert levels["best"] > levels["worst"] > 0
