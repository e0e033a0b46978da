"""Recommendations: whose whole interval keeps a bound, which of these is best, and the file that is left."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from anonymizers import Blackout, Blur, KSame, Pixelate
from orchestrator.recommend.__main__ import app
from orchestrator.recommend.choosing import asked, recommend
from orchestrator.recommend.equivalents import equivalents
from orchestrator.recommend.recommendation import Recommendation, made, read, write
from orchestrator.records.ledger import Ledger
from orchestrator.records.ledger import read as read_ledger
from orchestrator.records.trials import trial_rows
from orchestrator.verify.tables import verified_table
from tests.helpers.sample_rows import SWEEP, row, scores


def blur(trial: int, kernel: int, privacy: float, utility: float) -> dict[str, Any]:
    return row(trial, "blur", {"kernel": kernel, "region": "crop"}, scores(privacy, utility, seed=2 * trial))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Make five trials whose intervals reach 0.05 to either side."""
    folder = tmp_path / "a sweep"
    folder.mkdir()
    with Ledger.create(folder / "ledger.arrow", SWEEP) as ledger:
        ledger.append(row(0, "identity", {}, scores(0.01, 1.0)))  # an anchor, whatever it measures
        ledger.append(blur(1, 31, 0.6, 0.8))
        ledger.append(blur(2, 71, 0.22, 0.5))  # 0.17 to 0.27: the value keeps 0.25, the interval does not
        ledger.append(blur(3, 101, 0.18, 0.4))
        ledger.append(row(4, "pixelate", {"block": 24, "region": "crop"}, scores(0.15, 0.3)))
        ledger.append(row(5, "pixelate", {"block": 8, "region": "crop"}, "no memory"))
    return folder


def test_the_whole_interval_must_keep_the_bound(results: Path) -> None:
    found = recommend(results, {"rank1_worst": 0.25})
    assert found.row["trial"] == 3 and found.best == "expression_kappa_adapted"
    assert (found.kept, found.of) == (2, 4)
    assert recommend(results, {"rank1_worst": 0.271}).row["trial"] == 2


def test_a_bound_on_what_is_to_be_high_is_kept_by_the_lower_end(results: Path) -> None:
    found = recommend(results, {"expression_kappa_adapted": 0.35})
    assert found.row["trial"] == 3 and found.best == "rank1_worst"
    both = recommend(results, {"expression_kappa_adapted": 0.2, "rank1_worst": 0.3})
    assert both.row["trial"] == 2 and both.best == "expression_kappa_adapted"
    assert recommend(results, {"rank1_worst": 0.3}, best="rank1-worst").row["trial"] == 4


def test_where_none_keeps_it_the_nearest_is_named(results: Path) -> None:
    with pytest.raises(ValueError, match=r"at most 0.1, none of 4 does; the nearest is pixelate block=24 \(trial 4\)"):
        recommend(results, {"rank1_worst": 0.1})
    with pytest.raises(ValueError, match=r"at least 0.9, none of 4 does; the nearest is blur kernel=31 \(trial 1\)"):
        recommend(results, {"expression_kappa_adapted": 0.9})


def test_a_verification_decides_where_there_is_one(results: Path) -> None:
    own = [one for one in trial_rows(read_ledger(results / "ledger.arrow")) if one["method"] == "blur"]
    with Ledger.create(results / "verified.arrow", SWEEP) as ledger:
        for place, one in enumerate(own):  # every rate is higher on other people
            ledger.append(blur(place, one["blur.kernel"], one["rank1_worst"] + 0.3, one["expression_kappa_adapted"]))
    protocol = {**SWEEP["protocol"], "name": "others", "digest": "ab" * 32}
    facts = {**SWEEP, "verified": {"protocol": protocol, "attackers": ["fixed", "held_out"]}}
    table = verified_table(own, read_ledger(results / "verified.arrow"), facts)
    pq.write_table(table, results / "verified.parquet")
    with pytest.raises(ValueError, match="the nearest is blur kernel=101"):
        recommend(results, {"rank1_worst": 0.25})
    found = recommend(results, {"rank1_worst": 0.54})
    assert found.verified and found.row["trial"] == 3
    assert found.recommendation.measured["protocol"] == "others"
    assert found.recommendation.measured["attackers"] == ["fixed", "held_out"]


def test_bounds_are_read_in_any_order_and_form() -> None:
    expected = (Path("x"), {"rank1_worst": 0.1, "expression_kept": -0.5})
    assert asked(["x", "--rank1-worst", "0.1", "--expression-kept=-0.5"]) == expected
    assert asked(["--rank1_worst=0.1", "x", "--expression-kept", "-0.5"]) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["x"], "expected at least one, as in --rank1-worst 0.1"),
        (["--rank1-worst", "0.1"], "expected one folder, got 0"),
        (["x", "y", "--rank1-worst", "0.1"], "expected one folder, got 2"),
        (["x", "--rank1-wurst", "0.1"], "the nearest is rank1_worst"),
        (["x", "--rank1-worst"], "expected a number behind it"),
        (["x", "--rank1-worst", "10"], "expected a number of 0 to 1, got '10'"),
        (["x", "--rank1-worst", "nan"], "expected a number of 0 to 1"),
        (["x", "--rank1-worst", "a tenth"], "expected a number of 0 to 1, got 'a tenth'"),
    ],
)
def test_what_is_no_bound_is_refused(arguments: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        asked(arguments)


def test_what_was_not_measured_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tar_at_far_1e3 was not there"):
        recommend(results, {"tar_at_far_1e3": 0.1})
    with pytest.raises(ValueError, match=r"expected a folder with ledger\.arrow"):
        recommend(tmp_path, {"rank1_worst": 0.1})


def test_the_command_says_who_sets_the_bound_what_is_lost_and_what_is_next(results: Path) -> None:
    said = CliRunner().invoke(app, [str(results), "--rank1-worst", "0.25", "--face-px", "224"])
    assert said.exit_code == 0, said.output
    for words in (
        "blur kernel=101 (trial 3)",
        "0.400 [0.350, 0.450], of 2 of 4 configurations",
        "158 people, 790 probes",
        "sets rank1_worst",
        "python -m orchestrator.anonymize PICTURES OUT --config '",
        "python -m orchestrator.verify '",
        "gblur=sigma=31.0",
    ):
        assert words in said.output, words
    refused = CliRunner().invoke(app, [str(results), "--rank1-worst", "0.05"])
    assert refused.exit_code == 2


def test_the_file_is_plain_and_leads_back_to_the_configuration(results: Path, tmp_path: Path) -> None:
    found = recommend(results, {"rank1_worst": 0.25})
    write(found.recommendation, tmp_path / "recommended.json")
    facts = json.loads((tmp_path / "recommended.json").read_text())
    assert facts["kind"] == "recommended configuration" and facts["version"] == 1
    assert facts["method"] == "blur" and facts["hyperparameters"] == {"kernel": 101, "region": "crop"}
    assert facts["crop_px"] == 112 and facts["alignment"] == "arcface112" and facts["publish"] == "png"
    assert facts["measured"]["digest"] == SWEEP["protocol"]["digest"] and facts["measured"]["n_people"] == 158
    assert facts["scores"]["rank1_worst"] == pytest.approx({"value": 0.18, "low": 0.13, "high": 0.23})
    assert facts["networks"]["embedder"] == {"sha256": "ab" * 32}
    assert facts["source"]["trial"] == 3
    back = read(tmp_path / "recommended.json")
    assert back == found.recommendation and back.anonymizer() == Blur(kernel=101)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recommended.json"
    with pytest.raises(ValueError, match="No such file"):
        read(path)
    good = Recommendation("blur", {"kernel": 31})
    write(good, path)
    assert read(path) == good
    facts = json.loads(path.read_text())
    for changed, sentence in (
        ("{", "is no JSON"),
        ("[]", "expected a file of orchestrator.recommend"),
        (json.dumps({**facts, "version": 2}), "expected version 1"),
        (json.dumps({**facts, "alignment": "eyes"}), "expected crops aligned as arcface112"),
        (json.dumps({**facts, "crop_px": 7}), "expected crop_px of 32 to 1024"),
        (json.dumps({**facts, "more": 1}), "differs in 'more'"),
    ):
        path.write_text(changed)
        with pytest.raises(ValueError, match=sentence):
            read(path)
    for recommendation, sentence in (
        (replace(good, method="bloor"), "expected one of identity, blackout"),
        (replace(good, hyperparameters={"kernel": 4}), r"blur\.kernel: expected one of"),
        (replace(good, hyperparameters={"size": 4}), "got 'size'"),
        (replace(good, hyperparameters={}), "kernel .* is missing"),
    ):
        with pytest.raises(ValueError, match=sentence):
            recommendation.anonymizer()


def test_made_takes_defaults() -> None:
    assert made("k_same", {"k": 5}, "--set") == KSame(k=5)


def test_equivalents_have_the_strength_of_a_face_of_that_size() -> None:
    # Of kernel 71, sigma is 11 px of the crop of 112 px.
    assert "gblur=sigma=11.0:" in equivalents(Blur(kernel=71), 112)["ffmpeg"]
    assert "gblur=sigma=22.0:" in equivalents(Blur(kernel=71), 224)["ffmpeg"]
    assert "pixelize=w=16:h=16" in equivalents(Pixelate(block=8), 224)["ffmpeg"]
    assert "--mosaicsize 16" in equivalents(Pixelate(block=8), 224)["deface"]
    assert equivalents(Blackout(), 100).keys() == {"ffmpeg", "deface"}
    assert equivalents(KSame(k=5), 100) == {} and equivalents(Blur(kernel=71, region="face"), 100) == {}


def test_equivalents_are_filters_that_ffmpeg_has() -> None:
    av = pytest.importorskip("av")
    for anonymizer in (Blur(kernel=71), Pixelate(block=8), Blackout()):
        command = equivalents(anonymizer, 200)["ffmpeg"]
        for named in re.findall(r"(gblur|pixelize|drawbox|crop|overlay)=", command):
            assert named in av.filter.filters_available
    graph = av.filter.Graph()
    graph.add("gblur", "sigma=19.6:steps=3")
    graph.add("pixelize", "w=16:h=16")
    graph.add("drawbox", "x=1:y=2:w=200:h=200:color=black:t=fill")
