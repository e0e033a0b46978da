"""Comparisons on the same people: differences, their intervals, and who may be compared."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from orchestrator.compare.__main__ import app
from orchestrator.compare.pairs import chosen_pairs, compare, compared
from orchestrator.records.ledger import Ledger
from orchestrator.records.trials import without_replicates
from tests.helpers.people_rows import facts, measured
from tests.helpers.sample_rows import OBJECTIVES, SWEEP, row, scores


@pytest.fixture
def results(tmp_path: Path) -> Path:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        ledger.append(row(0, "blur", {"kernel": 31, "region": "crop"}, scores(0.6, 0.5, seed=1, replicates=2000)))
        ledger.append(row(1, "blur", {"kernel": 51, "region": "crop"}, scores(0.55, 0.4, seed=2, replicates=2000)))
        ledger.append(row(2, "pixelate", {"block": 8, "region": "crop"}, "no memory"))
    return tmp_path


def test_what_all_share_cancels_in_the_difference(results: Path) -> None:
    from orchestrator.records.ledger import read

    table = read(results / "ledger.arrow")
    worst, use = compare(table, OBJECTIVES, [(0, 1)])
    assert (worst["metric"], use["metric"]) == tuple(OBJECTIVES)
    assert worst["difference"] == pytest.approx(-0.05)
    # Each alone varies by 0.03 in what both share and 0.01 of its own: only the latter is left, twice.
    wide = 1.96 * 2**0.5 * 0.01
    assert worst["low"] == pytest.approx(-0.05 - wide, abs=0.003) and worst["high"] == pytest.approx(
        -0.05 + wide, abs=0.003
    )
    assert worst["better"] > 0.99 and use["better"] < 0.01  # type: ignore[operator]
    alone = np.concatenate([cell.values.to_numpy() for cell in table.column("replicates.rank1_worst")[:1]])
    assert alone.std() > 0.028


def test_neighbors_on_the_front_or_the_trials_that_were_named(results: Path) -> None:
    from orchestrator.records.ledger import read

    rows = without_replicates(read(results / "ledger.arrow")).to_pylist()
    assert chosen_pairs(rows, OBJECTIVES, ()) == [(1, 0)]  # the more private one first
    assert chosen_pairs(rows, OBJECTIVES, (0, 1, 0)) == [(0, 1)]
    for trials, words in (
        ((0, 2), r"got \[2\]"),
        ((0, 7), r"got \[7\]"),
        ((1,), "expected different trials, got 1; name two"),
    ):
        with pytest.raises(ValueError, match=words):
            chosen_pairs(rows, OBJECTIVES, trials)


def test_what_the_ledger_lacks_is_said(results: Path) -> None:
    ledger = results / "ledger.arrow"
    said = CliRunner().invoke(app, [str(results), "0", "1"])
    assert "3 of 15 trials have ended; search --resume goes on" in " ".join(said.output.split())
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-7])
    (results / "ledger.arrow.cut-400").write_bytes(b"torn off")
    said = CliRunner().invoke(app, [str(results), "0", "1"])
    assert said.exit_code == 0, said.output
    told = " ".join(said.output.split())
    assert "bytes are a row that was not finished, by a search that runs or was ended; it is left out" in told
    assert "ledger.arrow.cut-400: 8 bytes of a row that was not finished were cut off the ledger earlier" in told
    assert "2 of 15 trials have ended" in told


def test_the_command(results: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, [str(results), "0", "1"])
    assert said.exit_code == 0, said.output
    assert "blur kernel=31" in said.output and "-0.050" in said.output and "[-0.07" in said.output
    refused = CliRunner().invoke(app, [str(tmp_path / "nowhere")])
    assert refused.exit_code == 2


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A sweep whose ledger keeps what each person adds."""
    (tmp_path / "kept").mkdir()
    with Ledger.create(tmp_path / "kept" / "ledger.arrow", facts()) as ledger:
        for n, (privacy, utility) in enumerate(((0.8, 0.8), (0.5, 0.6))):
            ledger.append(row(n, "blur", {"kernel": 31 + 2 * n, "region": "crop"}, measured(privacy, utility, seed=n)))
    return tmp_path / "kept"


def test_trials_compare_in_whatever_people_add_to(kept: Path) -> None:
    names = ("rank1_parrot", "expression_kappa_facex_shown", "expression_kept_blendshapes", "rank1_worst_fused")
    one, other = measured(0.8, 0.8, seed=0), measured(0.5, 0.6, seed=1)
    found = compared(kept, (0, 1), names)
    assert [pair["metric"] for pair in found] == list(names)
    assert [round(float(pair["better"]), 2) for pair in found[:3]] == [1, 0, 0]
    for name, pair in zip(names, found, strict=True):
        assert pair["difference"] == pytest.approx(other[name] - one[name])
        assert float(pair["low"]) < float(pair["difference"]) < float(pair["high"])


def test_the_strongest_of_some_attackers(kept: Path) -> None:
    (every,) = compared(kept, (0, 1), ["rank1_worst"])
    (some,) = compared(kept, (0, 1), ["rank1_worst"], ["fixed", "parrot"])
    (parrot,) = compared(kept, (0, 1), ["rank1_parrot"])
    assert some["metric"] == "rank1_worst of fixed, parrot" and every["metric"] == "rank1_worst"
    assert {**some, "metric": "rank1_parrot"} == parrot != every  # who is stronger than fixed in every draw
    fused = compared(kept, (0, 1), ["rank1_worst_fused"], ["fixed"])[0]
    one, other = (measured(p, u, seed=n).people for n, (p, u) in enumerate(((0.8, 0.8), (0.5, 0.6))))
    assert one is not None and other is not None
    gap = np.subtract(*(float(p.sums["rank1_fixed_fused"].mean()) for p in (other, one)))
    assert fused["difference"] == pytest.approx(float(gap))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "rank1_wurst"], "--metric: expected one of .* got 'rank1_wurst'; the nearest is rank1_worst"),
        (["--metric", "ssim"], "--metric: expected one that was measured, trial 0 has no ssim"),
        (["--attacker", "mapped"], "--attacker: expected some of fixed, parrot, undone, whom trial 0 met, got mapped"),
        (["--attacker", "fixed", "--attacker", "fixed"], "--attacker: expected different names, got fixed, fixed"),
        (["--metric", "expression_kept", "--attacker", "fixed"], "--attacker: expected a metric of several attackers"),
    ],
)
def test_what_cannot_be_compared_is_refused(kept: Path, options: list[str], words: str) -> None:
    said = CliRunner().invoke(app, [str(kept), "0", "1", *options])
    assert said.exit_code == 2 and re.search(words, " ".join(said.output.split())), said.output


def test_a_ledger_of_replicates_compares_objectives_alone(results: Path) -> None:
    said = CliRunner().invoke(app, [str(results), "0", "1", "--metric", "rank1_worst"])
    assert said.exit_code == 0 and "rank1_worst" in said.output, said.output
    for options in (["--metric", "rank1_fixed"], ["--metric", "rank1_worst", "--attacker", "fixed"]):
        said = CliRunner().invoke(app, [str(results), "0", "1", *options])
        assert said.exit_code == 2 and "person" in said.output, said.output
