from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.records.ledger import Ledger
from orchestrator.records.report.conditions import FAIL, NOT_RUN, PASS, conditions
from orchestrator.records.report.drawing import MOST_DRAWN, hover, spread_out
from orchestrator.records.report.exports import escaped, front_csv, front_tex
from orchestrator.records.report.figures import (
    attackers_figure,
    front_figure,
    hifd_figure,
    overrated,
    side_by_side_figure,
)
from orchestrator.records.report.parallel import axis_of, parallel_figure
from orchestrator.records.report.searched import ContactSheet, judges_lines, write_report
from orchestrator.records.report.verified import curves_figure, verified_figure, write_verified
from orchestrator.records.tables import write_tables
from orchestrator.records.trials import flat
from orchestrator.records.wording import number
from orchestrator.sweep.racing import Stop
from tests.helpers.sample_rows import OBJECTIVES, SWEEP, row, sample, scores

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("sweep")
    with Ledger.create(folder / "ledger.arrow", SWEEP) as ledger:
        for one in sample():
            ledger.append(one)
        return ledger.trials(), write_tables(ledger.table(), SWEEP, folder)


def contact() -> ContactSheet:
    images = np.random.default_rng(0).integers(0, 256, (3, 10, 16, 16, 3), dtype=np.uint8)
    return ContactSheet(("original", "blackout", HOSTILE), images)


@pytest.fixture(scope="module")
def page(tables: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    rows, front = tables
    hostile = {**SWEEP, "name": f"sample {HOSTILE}", "notes": [HOSTILE], "versions": {HOSTILE: HOSTILE}}
    write_report(path, hostile, rows, front, contact())
    return path


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.images = 0
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")
        self.images += tag == "img"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data
        else:
            self.texts.append(data)


def test_page_is_self_contained_and_whole(page: Path, tables: Any) -> None:
    text = page.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert all(address.startswith(("data:image/webp;base64,", "data:text/")) for address in tags.addresses)
    assert tags.images == 30
    said = " ".join(tags.texts)
    assert "$" not in re.sub(r"\s", "", said)
    for words in (
        "The front",
        "What a fixed attacker overrates",
        "Failures (1)",
        "seba_area",
        SWEEP["protocol"]["digest"],
        "ab" * 32,
    ):
        assert words in said
    for kept in tables[1]:
        assert f"{kept['rank1_worst']:.3f}" in said
        assert f"{kept['front_probability']:.3f}" in said
    assert "demo networks" not in said


def test_texts_are_escaped(page: Path) -> None:
    tags = Tags()
    tags.feed(page.read_text(encoding="utf-8"))
    assert not [script for script in tags.scripts if script.strip().startswith("alert")]
    assert "".join(tags.texts).count(HOSTILE) >= 5
    assert page.read_text(encoding="utf-8").count(HOSTILE) == 0


def test_the_judges_stand_on_top_with_how_far_they_agree(tables: Any, tmp_path: Path) -> None:
    panel = {
        "judges_clear": {"ada": 0.81, "bo": 0.72, "cy": 0.1},
        "judges_admitted": ["ada", "bo"],
        "judges_agree": {"ada, bo": 0.64},
        "judges_smile": {"ada, bo": 0.93},
        "told_by": HOSTILE,
    }
    told = {**tables[0][0], "method": "k_same_select", "told_by": HOSTILE}
    rows = [told, *({**row, "told_by": None} for row in tables[0][1:])]
    lines = judges_lines(panel, rows)
    assert "judged by ada (0.810), bo (0.720)" in lines[0] and "cy (0.100)" in lines[1]
    assert "ada, bo: kappa 0.640; ada, bo: smiling correlates with 0.930" in lines[2]
    assert lines[3] == f"Told the expression by {HOSTILE}: k_same_select."
    write_report(tmp_path / "report.html", {**SWEEP, "panel": panel}, rows, tables[1])
    text = (tmp_path / "report.html").read_text()
    assert "judged by ada (0.810)" in text and HOSTILE not in text
    assert judges_lines({}, rows) == []


def test_hover_is_escaped(tables: Any) -> None:
    bad = {**tables[0][2], "method": HOSTILE, f"{HOSTILE}.field": HOSTILE}
    assert HOSTILE not in hover(bad)
    assert "&lt;script&gt;" in hover(bad)
    figure = front_figure([bad], [bad], OBJECTIVES)
    assert not [t for t in figure.data if HOSTILE in str(t.text) or HOSTILE in str(t.name)]


def test_front_figure_shows_every_trial_once(tables: Any) -> None:
    rows, front = tables
    figure = front_figure(rows, front, OBJECTIVES)
    shown = [x for trace in figure.data if trace.mode == "markers" for x in trace.x]
    assert sorted(shown) == sorted(r["rank1_worst"] for r in rows if r["status"] == "complete")
    bars = [trace for trace in figure.data if trace.error_x.array is not None]
    assert sum(len(trace.x) for trace in bars) == len(front)
    np.testing.assert_allclose(bars[0].error_x.array, 0.05)
    np.testing.assert_allclose(bars[0].error_y.arrayminus, 0.05)
    assert {note.text for note in figure.layout.annotations} >= {"no anonymization", "black picture", "chance"}
    named = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert len(named) == len(set(named))


def test_third_objective_is_the_color(tables: Any) -> None:
    rows, front = tables
    figure = front_figure(rows, front, {**OBJECTIVES, "st_lpips": "min"})
    colors = [c for trace in figure.data if trace.marker.coloraxis for c in trace.marker.color]
    assert sorted(colors) == sorted(r["st_lpips"] for r in rows if r["status"] == "complete")


def test_a_fixed_list_is_shown_side_by_side(tables: Any, tmp_path: Path) -> None:
    rows, front = tables
    write_report(tmp_path / "r.html", {**SWEEP, "sampler": "grid"}, rows, front)
    page = (tmp_path / "r.html").read_text()
    assert "figure-side" in page and "Side by side" in page
    write_report(tmp_path / "r.html", {**SWEEP, "sampler": "tpe"}, rows, front)
    assert "figure-side" not in (tmp_path / "r.html").read_text()
    complete = [row for row in rows if row["status"] == "complete" and all(row[n] is not None for n in OBJECTIVES)]
    figure = side_by_side_figure(complete, dict.fromkeys(OBJECTIVES, "min"))
    assert len(figure.data) == len(OBJECTIVES)
    for trace, name in zip(figure.data, OBJECTIVES, strict=True):
        assert list(trace.x) == [row[name] for row in complete]
        wide = [row[f"{name}_hi"] - row[name] for row in complete]
        assert list(trace.error_x.array) == pytest.approx([max(0.0, one) for one in wide])


def test_attackers_figure(tables: Any) -> None:
    rows, _ = tables
    assert attackers_figure([r for r in rows if r["status"] == "failed"]) is None
    assert attackers_figure(rows) is not None


def test_what_a_fixed_attacker_overrates_is_counted_by_method(page: Path) -> None:
    def one(method: str, fixed: float | None, worst: float) -> dict[str, Any]:
        return {"method": method, "rank1_fixed": fixed, "rank1_worst": worst}

    rows = [one("blur", 0.1, 0.5), one("blur", 0.5, 0.6), one("pixelate", 0.1, 0.2), one("identity", 0.0, 1.0)]
    assert overrated([*rows, one("blur", None, 1.0)]) == {"blur": (1, 2), "pixelate": (0, 1)}
    assert "of rank-1 is hidden from him alone in " in page.read_text()


def test_a_privacy_without_an_attacker_is_compared(tables: Any) -> None:
    rows, _ = tables
    tried = [r for r in rows if r["status"] != "failed" and r["method"] not in ("identity", "blackout")]
    flipped = [{**r, "hifd_privacy": r["rank1_worst"]} for r in tried]
    agreed = [{**r, "hifd_privacy": 1 - r["rank1_worst"]} for r in tried]
    for given, expected in ((flipped, -1), (agreed, 1)):
        drawn = hifd_figure(given)
        assert drawn is not None and drawn[1] == pytest.approx(expected)
        assert sum(len(trace.x) for trace in drawn[0].data) == len(tried)
    assert hifd_figure(tried[:2]) is None
    assert hifd_figure([{**r, "hifd_privacy": 0.5} for r in tried]) is None


def test_the_front_before_and_after_verification(tables: Any, tmp_path: Path) -> None:
    _, front = tables
    after = [{**r, "rank1_worst": r["rank1_worst"] + 0.1, "on_front": n > 0} for n, r in enumerate(front)]
    figure = verified_figure(front, after, OBJECTIVES)
    moved = [value for trace in figure.data if trace.mode == "lines" for value in trace.x if value is not None]
    assert sorted(moved) == sorted([r["rank1_worst"] for r in front] + [r["rank1_worst"] for r in after])
    path = tmp_path / "verified.html"
    curves = [
        {"trial": front[0]["trial"], "attacker": "fixed", "kind": kind, "x": x, "y": 0.5}
        for kind in ("cmc", "roc")
        for x in (0.1, 1.0)
    ]
    facts = {**SWEEP, "name": HOSTILE, "verified": {"seed": 1, "attackers": [HOSTILE]}}
    write_verified(path, facts, front, after, curves, f"search: 24 people {HOSTILE}.")
    text = path.read_text()
    assert HOSTILE not in text and f"{len(front) - 1} of {len(front)} stay on the front" in text
    assert (
        "search: 24 people" in text
        and "rank1_worst by +0.100" in text
        and "figure-cmc" in text
        and "figure-roc" in text
    )
    drawn = curves_figure(curves, after, "roc")
    assert len(drawn.data) == 1 and list(drawn.data[0].x) == [0.1, 1.0] and "(fixed)" in drawn.data[0].name


def test_sweep_without_a_front(tmp_path: Path) -> None:
    demo = {**SWEEP, "models": {"embedder": {"name": "demo", "terms": "the project's own, trained on demo faces"}}}
    with Ledger.create(tmp_path / "ledger.arrow", demo) as ledger:
        ledger.append(row(0, "identity", {}, HOSTILE))
        front = write_tables(ledger.table(), demo, tmp_path)
        write_report(tmp_path / "report.html", demo, ledger.trials(), front)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "there is no front" in text
    assert "These are demo networks" in text
    assert HOSTILE not in text


def test_contact_sheet_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="one row per label"):
        ContactSheet(("one",), np.zeros((2, 10, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        ContactSheet(("one",), np.zeros((1, 10, 8, 8, 3), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (0.0, "0.000"), (123.45, "123.5"), (7, "7"), (None, "–"), (1e-5, "1e-05")]
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


def dumped(page: Path) -> str:
    """Open a page in a browser that logs nothing of it, and return what its scripts made of it; skip without one."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --virtual-time-budget=8000 --enable-logging=stderr --v=0 --dump-dom"
    )
    command = [chromium, *options.split(), f"--user-data-dir={page.with_name('profile')}", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert [line for line in ended.stderr.splitlines() if "CONSOLE" in line] == []
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [OBJECTIVES, {**OBJECTIVES, "st_lpips": "min"}], ids=["two", "three"])
def test_in_a_browser(tables: Any, objectives: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, {**SWEEP, "objectives": objectives}, *tables, contact())
    shown = dumped(page)
    assert shown.count('class="main-svg"') >= 2
    # Points are paths in the browser's tree only if plotly drew them.
    assert shown.count('class="point') >= 2 * sum(r["status"] == "complete" for r in tables[0])


USED = """
<script>window.addEventListener("load", () => {
  const said = [];
  const slider = document.getElementById("bound");
  for (const value of [0, 10, 50, 100]) {
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    said.push(value + "=" + document.getElementById("decided").dataset.trial);
  }
  const plot = document.getElementById("figure-front");
  const trace = plot.data.find((one) => one.customdata && one.customdata.length);
  plot.emit("plotly_click", {points: [{customdata: trace.customdata[0]}]});
  said.push("point=" + document.getElementById("clicked").dataset.trial + "/" + trace.customdata[0]);
  const line = document.querySelector("tr[data-trial]");
  line.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
  said.push("line=" + document.getElementById("clicked").dataset.trial + "/" + line.dataset.trial);
  const box = document.querySelector("#methods input[value=blur]");
  box.checked = false;
  box.dispatchEvent(new Event("change"));
  const hidden = [...document.querySelectorAll("tr[data-method=blur]")].every((one) => one.hidden);
  const others = [...document.querySelectorAll("tr[data-method]:not([data-method=blur])")].some((one) => !one.hidden);
  said.push("blur=" + hidden + "/" + others);
  document.body.dataset.said = said.join(" ");
});</script>
"""


@pytest.mark.slow
def test_slider_click_keyboard_and_boxes_work(tables: Any, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, SWEEP, *tables, contact())
    page.write_text(page.read_text().replace("</body>", f"{USED}</body>"))
    said = dict(part.split("=") for part in dumped(page).split('data-said="')[1].split('"')[0].split())
    front = [row for row in tables[1] if row["method"] not in ("identity", "blackout", "word")]
    for value in (0, 10, 50, 100):  # the same choice, by Python
        kept = [row for row in front if row["rank1_worst_hi"] <= value / 100]
        utility = list(OBJECTIVES)[1]
        best = max(kept, key=lambda row: row[utility])["trial"] if kept else ""
        assert said[str(value)] == str(best)
    for way in ("point", "line"):
        shown, asked = said[way].split("/")
        assert shown == asked
    assert said["blur"] == "true/true"


def test_conditions_say_what_holds_what_does_not_and_what_did_not_run(tables: Any) -> None:
    panel = {
        "rank1_clear": {"fixed": 1.0, "parrot": 0.99},
        "judges_clear": {"a": 0.8, "b": 0.7},
        "judges_admitted": ["a"],
        "judges_agree": {"a, b": 0.1},
    }
    protocol = {**SWEEP["protocol"], "rejected": 3, "n_read": 20, "rejected_reasons": {"blurred": 3}, "n_people": 10}
    found = {
        what.partition(":")[0]: (state, told)
        for what, state, told in conditions({**SWEEP, "panel": panel, "protocol": protocol}, tables[1])
    }
    assert found["Attackers can learn"] == (PASS, "fixed 1.000, parrot 0.990")
    assert found["Readers can learn"] == (FAIL, "a 0.800, b 0.700, not followed")
    assert found["Judges agree on clear faces"] == (FAIL, "least 0.100, a, b")
    assert found["Winner's curse"][0] == NOT_RUN
    assert found["Pictures"] == (FAIL, "3 of 20: 3 blurred")
    assert found["People enough for the intervals"][0] == FAIL
    assert all(state == NOT_RUN for what, state, _ in conditions({**SWEEP, "panel": {}}, []) if "learn" in what)


def test_the_front_is_saved_as_csv_and_latex(tables: Any) -> None:
    front = tables[1]
    read = list(csv.DictReader(io.StringIO(front_csv(front))))
    assert [int(line["trial"]) for line in read] == [row["trial"] for row in front]
    assert [float(line["rank1_worst"]) for line in read] == [row["rank1_worst"] for row in front]
    tex = front_tex(front, OBJECTIVES)
    assert tex.count(r"\\") == len(front) + 1 and r"rank1\_worst" in tex
    assert escaped("a_b & 5 % {x} \\ ~^") == r"a\_b \& 5 \% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{}"


def test_parallel_coordinates_have_a_line_for_each_trial_of_a_method() -> None:
    many = [
        flat(row(n, "blur", {"kernel": 3 + 2 * n, "region": ("crop", "face")[n % 2]}, scores(0.9 - 0.01 * n, 0.5)))
        for n in range(12)
    ]
    figure = parallel_figure(many, OBJECTIVES)
    assert figure is not None
    names = [note.text for note in figure.layout.annotations if note.text.startswith("<b>")]
    assert names == [f"<b>{name}</b>" for name in ("kernel", "region", *OBJECTIVES)]
    assert {trial for trace in figure.data[1:] for trial in trace.customdata} == set(range(12))
    line = next(trace for trace in figure.data[1:] if 11 in trace.customdata)
    start = list(line.customdata).index(11)
    assert list(line.y[start : start + 2]) == [1.0, 1.0] and line.y[start + 4] is None  # the largest kernel, "face"
    assert axis_of("region", ["face", "crop", "face"]).places == (1.0, 0.0, 1.0)
    assert axis_of("kernel", [3, 13, 8]).places == (0.0, 1.0, 0.5)
    assert parallel_figure(many[:4], OBJECTIVES) is None


def test_a_long_sweep_is_drawn_thin_and_told_whole(tmp_path: Path) -> None:
    many = [
        {**flat(row(n, "blur", {"kernel": 3 + 2 * (n % 50)}, scores(0.02 + 0.9 * n / 900, 0.1 + 0.6 * n / 900)))}
        for n in range(900)
    ]
    kept = spread_out(many, "rank1_worst", 100)
    assert len(kept) == 100 and kept[0]["trial"] == 0 and kept[-1]["trial"] == 899
    assert kept == sorted(kept, key=lambda one: one["trial"])
    assert spread_out(many[:100], "rank1_worst", 100) == many[:100]
    write_report(tmp_path / "report.html", SWEEP, many, many[:30])
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 10e6
    assert f"more than {MOST_DRAWN} trials on or off the front so many are drawn" in page


def test_stopped_trials_stand_in_a_table_with_their_reason_and_in_no_figure(
    tables: tuple[list[dict[str, Any]], list[dict[str, Any]]], tmp_path: Path
) -> None:
    rows, front = tables
    stop = Stop("gallery", (5, 8), 0.97).text()
    stopped = {**rows[9], "trial": 40, "status": "stopped", "stopped": stop, "pixelate.block": 41, "anonymizer": "p"}
    audited = {**front[1], "stopped": stop}
    every = [row if row["trial"] != audited["trial"] else audited for row in rows]
    write_report(tmp_path / "raced.html", SWEEP, [*every, stopped], front)
    text = (tmp_path / "raced.html").read_text()
    assert "Stopped early" in text and "1 trials were stopped, surely dominated (1 after gallery)" in text
    assert f"false stops found: 1 of 1, trials [{audited['trial']}]" in text  # a planted one: it stands on the front
    assert re.search(r"<td[^>]*>40</td>.*block=41.*<td[^>]*>gallery</td><td[^>]*>5, 8</td>", text, re.DOTALL)
    assert "(trial 40," not in text  # as the figures write it
    write_report(tmp_path / "plain.html", SWEEP, rows, front)
    assert "Stopped early" not in (tmp_path / "plain.html").read_text()
