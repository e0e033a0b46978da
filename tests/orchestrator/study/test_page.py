"""The page as a participant has it: keys, pause, reload, the saved file, and nothing that tells or asks others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from orchestrator.study.__main__ import app
from orchestrator.study.answers import read_sheet
from orchestrator.study.design import PAIR
from orchestrator.study.key import PAGE, write_key
from orchestrator.study.page import write_page
from orchestrator.study.pictures import picture_uri
from tests.helpers.browser import Page, browsing
from tests.helpers.studies import small_key, swept

CONSENT = "I agree that </script><script>document.title = 'broken'</script> & so on."


def made(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Write a page with a picture of its own color for each face, configuration and clear picture."""
    key = small_key()
    colors: dict[Any, str] = {}

    def picture(what: Any) -> str:
        color = np.random.default_rng(len(colors)).integers(0, 256, 3).astype(np.uint8)
        return colors.setdefault(what, picture_uri(np.broadcast_to(color, (24, 24, 3)).copy()))

    shown = {
        name: [picture((item["face"], item["trial"])), *([picture(item["gallery"])] if "gallery" in item else [])]
        for name, item in key["items"].items()
    }
    folder.mkdir(parents=True)
    write_page(folder / PAGE, key, shown, CONSENT)
    write_key(key, folder)
    return folder / PAGE, key


def test_the_page_tells_no_answer_and_names_no_configuration(tmp_path: Path) -> None:
    page, key = made(tmp_path / "study")
    text = page.read_text()
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    assert data.keys() == {"study", "consent", "classes", "groups", "items", "pictures"}
    assert {len(pictures) for pictures in data["items"].values()} == {1, 2}
    assert len(set(data["pictures"])) == len(data["pictures"]) == 16 * 4 + 16
    for word in ("blur", "pixelate", "blackout", "probe", "gallery"):
        assert word not in re.sub(r"data:image[^\"]*", "", text), word
    assert "&lt;/script&gt;" in text and "<script>document" not in text
    assert not re.findall(r"(?:src|href)=.https?:|fetch\(|XMLHttpRequest|sendBeacon|WebSocket", text)
    assert list(key["items"]) == list(data["items"]) == sorted(data["items"])


def question(page: Page) -> None:
    page.wait("screen === 'trial' ? !waiting && since !== null : ['intro', 'end'].includes(screen)")


def answer(page: Page, count: int) -> None:
    """Answer so many questions by the keyboard: by the first answer, or the second where its number is odd."""
    done = 0
    while done < count:
        question(page)
        if page.value("screen") == "intro":
            page.press("Enter")
            page.wait("screen !== 'intro'")
            continue
        at = page.value("state.answers.length")
        page.press("12"[at % 2])
        page.wait(f"state.answers.length === {at + 1}")
        done += 1


@pytest.mark.slow
def test_a_participant_answers_pauses_comes_back_and_saves(tmp_path: Path) -> None:
    page_file, key = made(tmp_path / "sweep" / "study")
    swept(tmp_path / "sweep")
    with browsing(tmp_path) as page:
        page.open(page_file)
        assert page.value("document.title") == "What do you see?"
        assert page.value("document.querySelector('#consent').textContent") == CONSENT
        assert page.value("document.querySelector('#begin').disabled")  # before one has agreed
        page.click("#agreed")
        page.click("#participant")
        for digit in "11":
            page.press(digit)
        page.click("#begin")
        answer(page, 5)
        question(page)
        page.press("p")
        page.wait("screen === 'paused'")
        assert page.value("document.querySelectorAll('#pictures img').length") == 0
        page.press("2")  # no answer while there is no picture
        assert page.value("state.answers.length") == 5
        page.open(page_file)  # closed and opened again
        page.wait("screen === 'found'")
        assert "Participant 11: 5 of 32" in page.value("document.querySelector('#where').textContent")
        page.click("#resume")
        answer(page, 3)
        question(page)
        page.click("#answers button:nth-child(2)")  # the mouse does as well
        page.wait("state.answers.length === 9")
        answer(page, 23)
        page.wait("screen === 'end'")
        page.click("#save")
        page.wait("!document.querySelector('#again').hidden")
        saved = tmp_path / page.value("document.querySelector('#save').download")
        for _ in range(100):
            if saved.is_file():
                break
            page.wait("new Promise((done) => setTimeout(() => done(true), 50))")
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("data:", "blob:", page_file.as_uri()))] == []
        page.click("#again")
        page.wait("screen === 'start'")
        assert page.value("localStorage.length") == 0
    found = json.loads(saved.read_text())
    assert (found["participant"], found["complete"], found["paused"]) == (11, True, 1)
    sheet = read_sheet(saved, key)
    asked = [key["items"][one["item"]]["task"] for one in sheet.answers]
    assert asked[:16] == ["pair"] * 16 and set(asked[16:]) == {"expression"}  # 11 is of the second round
    first = [one["answer"] for one in sheet.answers]
    assert first[:2] == ["same", "different"] and first[16:18] == key["classes"][:2]
    assert first[8] == "different"  # clicked
    names = [one["item"] for one in sheet.answers[:16]]
    assert sorted(names) == key["groups"][3][PAIR] != names  # shuffled
    assert all(one["ms"] >= 0 for one in sheet.answers)
    said = CliRunner().invoke(app, ["read", str(saved), "--results", str(tmp_path / "sweep")])
    assert said.exit_code == 0 and "1 participants, 32 answers" in " ".join(said.output.split()), said.output


@pytest.mark.slow
def test_numbers_make_the_order_and_a_browser_that_keeps_nothing_is_told(tmp_path: Path) -> None:
    page_file, _ = made(tmp_path / "study")
    with browsing(tmp_path) as page:
        page.open(page_file)
        orders = page.value("[0, 8, 0, 16].map((n) => order(n).map((one) => one.item))")
        assert orders[0] == orders[2] != orders[3] and sorted(orders[0]) == sorted(orders[1]) == sorted(orders[3])
        tasks = page.value("[0, 8].map((n) => order(n)[0].task)")
        assert tasks == ["expression", "pair"]
        page.value("void Object.defineProperty(window, 'localStorage', { get() { throw new Error('none'); } })")
        page.click("#agreed")
        page.click("#begin")
        answer(page, 2)
        assert "keeps nothing" in page.value("document.querySelector('#warning').textContent")
        number = page.value("state.participant")
        assert isinstance(number, int) and number >= 0  # drawn
        page.value("pause()")
        partial = page.value("fetch(document.querySelector('#partial').href).then(() => 1, () => 0)")
        assert partial == 0  # not even its own file can be asked for: the page's policy forbids every request
        assert page.complaints
