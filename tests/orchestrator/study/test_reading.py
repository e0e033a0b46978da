"""Answers become tables: simulated participants' rates come back, and files that are no answers are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from orchestrator.records.trials import flat
from orchestrator.study.__main__ import app
from orchestrator.study.answers import Sheet, answer_rows, read_answers, read_sheet
from orchestrator.study.key import read_key, write_key
from orchestrator.study.tables import correlations, people_table
from tests.helpers.studies import CLASSES, TRIALS, answered, saved, small_key, swept

EXPRESSION = {0: 0.95, 1: 0.25, 2: 0.7, 3: 0.4}
SAME = {0: (0.97, 0.05), 1: (0.5, 0.5), 2: (0.8, 0.2), 3: (0.6, 0.4)}
"""Rates at which same and different pairs are called the same, by trial."""


def rows_of(key: dict[str, Any], participants: int, seed: int) -> list[dict[str, Any]]:
    sheets = []
    for number in range(participants):
        sheet = answered(key, number, EXPRESSION, SAME, seed)
        sheets.append(Sheet(Path(f"{number}.json"), number, sheet["session"], tuple(sheet["answers"])))
    return answer_rows(sheets, key)


@pytest.mark.parametrize("participants", [1, 4, 16])
def test_rates_of_simulated_participants_come_back_within_their_intervals(participants: int) -> None:
    key = small_key(subjects=16, trials=4)
    hits: dict[str, list[bool]] = {"people_expression": [], "people_same": [], "people_same_d_prime": []}
    for seed in range(25):
        for row in people_table(rows_of(key, participants, seed), key, seed):
            called, wrongly = SAME[row["trial"]]
            truth = {
                "people_expression": EXPRESSION[row["trial"]],
                "people_same": (called + 1 - wrongly) / 2,
                "people_same_d_prime": float(norm.ppf(called) - norm.ppf(wrongly)),
            }
            for name, value in truth.items():
                assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
                hits[name].append(row[f"{name}_lo"] <= value <= row[f"{name}_hi"])
            assert row["n_expression"] == row["n_same"] == 4 * participants
    for name, covered in hits.items():
        assert len(covered) == 100 and np.mean(covered) >= 0.9, name


def test_one_participant_has_wilsons_own_interval() -> None:
    key = small_key(subjects=16, trials=4)
    row = people_table(rows_of(key, 1, seed=1), key)[0]
    own = [one for one in rows_of(key, 1, seed=1) if one["trial"] == 0 and one["task"] == "expression"]
    rate, z, n = np.mean([one["correct"] for one in own]), 1.959964, len(own)
    center = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    assert row["people_expression"] == rate
    assert row["people_expression_lo"] == pytest.approx(center - width)
    assert row["people_expression_hi"] == pytest.approx(min(1.0, center + width))
    assert row["people_same_d_prime_lo"] < row["people_same_d_prime"] < row["people_same_d_prime_hi"]
    assert row["people_expression_fleiss"] is None  # nobody else saw these faces


def test_people_agree_where_they_can_see_and_not_where_they_guess() -> None:
    key = small_key(subjects=16, trials=4)
    clear, black = people_table(rows_of(key, 48, seed=0), key)[:2]
    # Two who are right at 0.95 agree by chance or knowledge in 0.95² + 0.05²/3 of the faces.
    expected = (0.95**2 + 0.05**2 / 3 - 0.25) / 0.75
    assert clear["people_expression_fleiss_lo"] < expected < clear["people_expression_fleiss_hi"]
    assert black["people_expression_fleiss_lo"] < 0 < black["people_expression_fleiss_hi"]
    assert black["people_same_fleiss"] == pytest.approx(0, abs=0.25) and clear["people_same_fleiss"] > 0.6


def test_people_are_correlated_with_readers_and_attackers() -> None:
    key = small_key(subjects=16, trials=4)
    trials = [flat(trial) for trial in TRIALS]
    trials[2]["expression_agreement"] = None  # as where it cannot be measured
    found = {(row["people"], row["column"]): row for row in correlations(rows_of(key, 16, seed=0), key, trials)}
    worst = found["people_same", "rank1_worst"]
    assert (worst["kendall"], worst["spearman"], worst["configurations"]) == (1.0, 1.0, 4)
    assert worst["kendall_lo"] <= 1.0 == worst["kendall_hi"]
    assert found["people_expression", "expression_kappa_adapted"]["kendall"] == 1.0
    assert found["people_expression", "expression_agreement"]["configurations"] == 3
    assert ("people_expression", "rank1_worst") not in found and ("people_same", "tar_at_far_1e3") not in found
    alone = correlations(rows_of(key, 1, seed=0), key, trials)
    assert {row["kendall_lo"] for row in alone} == {None}


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, dict[str, Any], list[Path]]:
    results, key = swept(tmp_path / "sweep"), small_key()
    (results / "study").mkdir()
    write_key(key, results / "study")
    assert read_key(results / "study") == key
    return results, key, [saved(tmp_path, answered(key, number, EXPRESSION, SAME)) for number in range(4)]


def test_the_command_leaves_tables(study: tuple[Path, dict[str, Any], list[Path]]) -> None:
    results, key, files = study
    said = CliRunner().invoke(app, ["read", *map(str, files), "--results", str(results)])
    assert said.exit_code == 0, said.output
    told = " ".join(said.output.split())
    assert "4 participants, 128 answers. By chance 0.250 of expressions are right, 0.500 of pairs" in told
    assert "blur kernel=31" in told and "rank1_worst" in told and not said.stderr
    answers, people, correlated = (
        pq.read_table(results / "study" / f"{name}.parquet") for name in ("answers", "people", "correlations")
    )
    assert len(answers) == 128 and json.loads(answers.schema.metadata[b"study"])["study"] == key["study"]
    assert people.column("trial").to_pylist() == [0, 1, 2, 3]
    first = answers.to_pylist()[0]
    assert first["correct"] == (first["answer"] == first["truth"]) and first["participant"] == 0
    assert people.schema.field("people_same_fleiss").type == "double"
    assert {"kendall", "spearman", "kendall_lo"} <= set(correlated.column_names)


def test_files_that_are_no_answers_are_told_one_sentence_each(
    study: tuple[Path, dict[str, Any], list[Path]], tmp_path: Path
) -> None:
    results, key, files = study
    good = json.loads(files[1].read_text())

    def written(name: str, **changes: Any) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(good | {"participant": 9, "session": name} | changes))
        return path

    answers = good["answers"]
    torn = tmp_path / "torn.json"
    torn.write_bytes(files[1].read_bytes()[:-300])
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\xff")
    copy = tmp_path / "copy.json"
    copy.write_bytes(files[1].read_bytes())
    other_word = [{**answers[0], "answer": "bored"}, *answers[1:]]
    cases = {
        torn: "it is no JSON, or its end is missing",
        picture: "it is no JSON",
        tmp_path / "nowhere.json": "No such file",
        copy: f"one file of each session, {files[1]} has the same answers",
        written("list", kind="else"): "it is something else",
        written("foreign", study="ab" * 32): f"answers to the study {key['study'][:12]}…, they are to abababababab…",
        written("number", participant=True): "participant's number and session, got True",
        written("halfway", answers=answers[:20]): "expected 32 answers, it has 20: the participant did not finish",
        written("twice", answers=[*answers[:-1], answers[0]]): "every question answered once, 1 are twice",
        written("of_another", participant=10): "the questions of participant 10, got another one",
        written("word", answers=other_word): f"expected {', '.join(CLASSES)} as answer",
        written("time", answers=[{**answers[0], "ms": -1}, *answers[1:]]): "a time of at least 0 ms",
        written("no_list", answers="none"): "a list of answers, got str",
        written("same_number", participant=1): "is of number 1 too, answered another time",
    }
    sheets, said = read_answers([*files, *cases], key)
    assert [sheet.participant for sheet in sheets] == [0, 1, 2, 3]
    assert len(said) == len(cases)
    for path, words, sentence in zip(cases, cases.values(), said, strict=True):
        assert sentence.startswith(f"{path}: ") and words in sentence and sentence.endswith("; left out"), sentence
    shown = CliRunner().invoke(app, ["read", str(files[0]), str(torn), "--results", str(results)])
    assert shown.exit_code == 0 and "torn.json: expected" in shown.stderr
    refused = CliRunner().invoke(app, ["read", str(torn), "--results", str(results)])
    assert refused.exit_code == 2 and "none of 1 files holds any" in " ".join(refused.stderr.split())


def test_a_study_of_another_sweep_or_a_changed_key_is_refused(
    study: tuple[Path, dict[str, Any], list[Path]], tmp_path: Path
) -> None:
    results, key, files = study
    assert read_sheet(files[2], key).participant == 2
    nowhere = CliRunner().invoke(app, ["read", str(files[0]), "--results", str(results), "--study", str(tmp_path)])
    assert nowhere.exit_code == 2 and "study make makes one" in " ".join(nowhere.stderr.split())
    for name, changes, words in (
        ("changed", {"truth_by": "nobody"}, "was changed after the study was made"),
        ("old", {"version": 0}, "a key of version 1"),
        ("other", {"kind": "recommended configuration"}, "is another file"),
    ):
        (tmp_path / name).mkdir()
        write_key(key | changes, tmp_path / name)
        with pytest.raises(ValueError, match=words):
            read_key(tmp_path / name)
    elsewhere = small_key(subjects=8, trials=2)
    elsewhere["configurations"][1]["trial"] = 3
    from orchestrator.study.key import FIELDS, made_key

    (tmp_path / "elsewhere").mkdir()
    write_key(made_key({name: elsewhere[name] for name in FIELDS if name != "study"}), tmp_path / "elsewhere")
    study_folder = str(tmp_path / "elsewhere")
    refused = CliRunner().invoke(app, ["read", str(files[0]), "--results", str(results), "--study", study_folder])
    assert refused.exit_code == 2 and "holds another one" in " ".join(refused.stderr.split())
