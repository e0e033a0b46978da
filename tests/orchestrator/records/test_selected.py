"""What the report shows of the selected configuration: tables of expressions, and groups of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.records.ledger import Ledger, read
from orchestrator.records.report.searched import write_report
from orchestrator.records.report.selected.confusions import confusions_facts
from orchestrator.records.report.selected.groups import groups_block
from orchestrator.records.tables import write_details, write_tables
from orchestrator.records.trials import details_of
from tests.helpers.browser import browsing
from tests.helpers.detailed_rows import CLASSES, DETAILED, confusion, detailed, details
from tests.helpers.sample_rows import SWEEP, sample


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detailed")
    with Ledger.create(folder / "ledger.arrow", DETAILED) as ledger:
        for one in detailed():
            ledger.append(one)
        assert [row["scores"].details for row in ledger.rows()[:3]] == [details(n) for n in range(3)]
        table = ledger.table()
        front = write_tables(table, DETAILED, folder)
        found = write_details(table, DETAILED, front, folder)
        assert set(found) == {row["trial"] for row in front} | {0, 1}
        write_report(folder / "report.html", DETAILED, ledger.trials(), front, details=found)
    return folder


def test_details_come_back_from_the_ledger_and_stay_out_of_the_trials_table(results: Path) -> None:
    table = read(results / "ledger.arrow")
    assert details_of(table, {3}) == {3: details(3)} and set(details_of(table)) == set(range(12))
    assert "details" not in pq.read_schema(results / "trials.parquet").names
    assert details_of(table.drop_columns(["details"])) == {}  # of a version before


def test_the_tables_hold_every_count_and_every_group(results: Path) -> None:
    rows = pq.read_table(results / "confusions.parquet").to_pylist()
    front = {row["trial"] for row in pq.read_table(results / "front.parquet").to_pylist()}
    assert {row["trial"] for row in rows} == front | {0, 1}
    own = [row for row in rows if (row["trial"], row["judge"], row["reader"]) == (0, "facex", "shown")]
    found = np.zeros((7, 7), int)
    for row in own:
        found[CLASSES.index(row["clear"]), CLASSES.index(row["read"])] = row["count"]
    assert found.ravel().tolist() == confusion(50, 7) and len(own) == 49
    groups = pq.read_table(results / "groups.parquet").to_pylist()
    assert len(groups) == 12 * 5  # of every trial that is complete, and the group of too few as well
    few = [row for row in groups if row["group"] == "west asian"]
    assert all(row["n_people"] == 8 and row["rank1_worst"] is None and row["attacker"] is None for row in few)
    one = next(row for row in groups if row["trial"] == 3 and row["group"] == "female")
    assert (one["rank1_worst"], one["rank1_worst_lo"], one["expression_kept_hi"]) == (0.25, 0.125, 0.25)
    assert one["attacker"] == "parrot" and b"sweep" in pq.read_schema(results / "groups.parquet").metadata


def test_a_sweep_without_details_leaves_no_tables_and_no_sections(results: Path, tmp_path: Path) -> None:
    (tmp_path / "groups.parquet").write_bytes(b"an earlier sweep's")
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        for one in sample():
            ledger.append(one)
        front = write_tables(ledger.table(), SWEEP, tmp_path)
        assert write_details(ledger.table(), SWEEP, front, tmp_path) == {}
        write_report(tmp_path / "report.html", SWEEP, ledger.trials(), front, details={})
    assert not (tmp_path / "groups.parquet").exists() and not (tmp_path / "confusions.parquet").exists()
    text = (tmp_path / "report.html").read_text()
    assert "Groups of people" not in text and "What is read of each expression" not in text
    whole = (results / "report.html").read_text()
    assert "Groups of people" in whole and "What is read of each expression" in whole


def test_groups_too_small_are_said_and_names_are_escaped(results: Path) -> None:
    front = pq.read_table(results / "front.parquet").to_pylist()
    found = details_of(read(results / "ledger.arrow"))
    block = groups_block(front, found, DETAILED["protocol"], "rank1_worst")
    assert "Fewer than 10 people, too few for a rate: ethnicity west asian (8)." in block
    assert "rank1_worst: female, 80 people" in block and "8 of 158 people are not in the table" in block
    assert "white &lt;b&gt;" in block and "white <b>" not in block
    assert groups_block(front, {}, DETAILED["protocol"], "rank1_worst") == ""
    assert confusions_facts(found, {})["trials"]["0"] == {}  # of judges whose classes nobody names


@pytest.mark.slow
def test_the_page_draws_the_table_of_the_selected_configuration(results: Path, tmp_path: Path) -> None:
    front = pq.read_table(results / "front.parquet").to_pylist()
    with browsing(tmp_path) as page:
        page.open(results / "report.html")
        page.value("{ const s = document.getElementById('bound'); s.value = 60; s.dispatchEvent(new Event('input')); }")
        decided = int(page.value("document.getElementById('decided').dataset.trial"))
        assert page.value("document.getElementById('confusions').dataset.trial") == str(decided)
        for trial in (decided, 0, front[-1]["trial"]):
            if trial != decided:
                page.click(f"tr[data-trial='{trial}']")
            assert page.value("document.getElementById('confusions').dataset.trial") == str(trial)
            titles = page.value("[...document.querySelectorAll('#confusions td[title]')].map((one) => one.title)")
            counts = [int(title.split(": ")[-1].split(" of ")[0]) for title in titles]
            assert counts == confusion(trial, 7) + confusion(trial + 50, 7) + confusion(trial + 90, 2)
            cells = page.value("[...document.querySelectorAll('#confusions td[title]')].map((one) => one.textContent)")
            table = np.array(counts[:49]).reshape(7, 7)
            expected = [f"{x / line.sum():.2f}" if line.sum() else "–" for line in table for x in line]
            assert cells[:49] == expected
        shown = page.value("document.getElementById('clicked').innerText")
        assert "gender: female" in shown
        page.value(
            "drawConfusions(JSON.parse(document.getElementById('decide-facts').textContent).confusions, '9', '<i>')"
        )
        said = page.value("document.getElementById('confusions-of').innerHTML")
        if 9 not in {row["trial"] for row in front}:
            assert "&lt;i&gt;" in said and "ledger.arrow has those of every trial" in said
        assert page.complaints == []
        assert [one for one in page.requests if not one.startswith(("file:", "data:", "blob:"))] == []
