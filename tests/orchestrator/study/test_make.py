"""A study of a small sweep on the demo world: its pictures are those that the sweep released."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from anonymizers import Blur, Context
from evaluators import demo
from evaluators.datasets.protocol import Protocol
from orchestrator.records.ledger import Ledger
from orchestrator.study.__main__ import app
from orchestrator.study.key import PAGE, read_key
from orchestrator.study.pictures import MOST_PX, picture_uri, truth_of
from tests.helpers.sample_rows import SWEEP, row, scores

SMALL = {"evaluated": 7, "pictures": 4, "attacker": 4, "background": 2}


@pytest.fixture(scope="module")
def world() -> Iterator[Protocol]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "demo_protocol", functools.partial(demo.demo_protocol, **SMALL))
        yield demo.demo_protocol(seed=0)


@pytest.fixture
def results(tmp_path: Path, world: Protocol) -> Path:
    facts = {**SWEEP, "protocol": world.describe(), "options": {}, "panel": {}}
    with Ledger.create(tmp_path / "sweep" / "ledger.arrow", facts) as ledger:
        ledger.append(row(0, "identity", {}, scores(0.98, 0.95)))
        ledger.append(row(1, "blackout", {}, scores(0.01, 0.02)))
        ledger.append(row(2, "blur", {"kernel": 31}, scores(0.8, 0.6)))
    return tmp_path / "sweep"


def pixels(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_the_pictures_are_what_the_sweep_released(results: Path, world: Protocol, tmp_path: Path) -> None:
    (tmp_path / "consent.txt").write_text("Approved <by> the board.")
    options = ["--faces", "9", "--device", "cpu", "--consent", str(tmp_path / "consent.txt")]
    said = CliRunner().invoke(app, ["make", str(results), *options])
    assert said.exit_code == 0, said.output
    told = " ".join(said.output.split())
    assert "6 faces: " in told and "12 questions to each participant about 3 configurations" in told
    assert "expression of a face is its label" in told and "another version of the program" in told
    key = read_key(results / "study")
    text = (results / "study" / PAGE).read_text()
    assert "Approved &lt;by&gt; the board." in text and key["consent"] is not None
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    clear = {
        name: faces.images[n].permute(1, 2, 0).numpy()
        for faces in (world.probe, world.gallery)
        for n, name in enumerate(faces.key)
    }
    blurred = Blur(kernel=31)(world.probe, Context(seed=world.seed)).permute(0, 2, 3, 1).numpy()
    released = {0: clear, 1: {}, 2: dict(zip(world.probe.key, blurred, strict=True))}
    person = {
        name: int(one)
        for faces in (world.probe, world.gallery)
        for name, one in zip(faces.key, faces.identity, strict=True)
    }
    expressions = world.expressions or ()
    label = {name: expressions[int(n)] for name, n in zip(world.probe.key, world.probe.expression, strict=True)}
    assert {item["face"] for item in key["items"].values()} <= set(world.probe.key)
    for name, item in key["items"].items():
        shown = [pixels(data["pictures"][place]) for place in data["items"][name]]
        wanted = released[item["trial"]].get(item["face"], np.zeros((112, 112, 3), np.uint8))
        assert (shown[0] == wanted).all()
        if item["task"] == "expression":
            assert item["truth"] == label[item["face"]] and len(shown) == 1
        else:
            assert (shown[1] == clear[item["gallery"]]).all()
            assert (item["truth"] == "same") == (person[item["face"]] == person[item["gallery"]])
    again = CliRunner().invoke(app, ["make", str(results), *options])
    assert again.exit_code == 2 and "expected no study in" in " ".join(again.stderr.split())


def test_other_faces_too_few_people_and_an_empty_consent_are_refused(
    results: Path, world: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    for options, words in (
        (["--faces", "5"], "at least 6 faces of different people"),
        (["--trial", "7"], "complete trials of this sweep, got [7]"),
        (["--consent", str(tmp_path / "empty.txt")], "is empty"),
        (["--consent", str(tmp_path / "none.txt")], "No such file"),
        (["--data", str(tmp_path)], "the search was on demo; leave --data out"),
    ):
        refused = CliRunner().invoke(app, ["make", str(results), *options])
        assert refused.exit_code == 2 and words in " ".join(refused.stderr.split()), refused.output
    monkeypatch.setattr(demo, "demo_protocol", functools.partial(demo.demo_protocol, evaluated=8))
    refused = CliRunner().invoke(app, ["make", str(results), "--faces", "6"])
    assert refused.exit_code == 2 and "expected the faces of the search, 7 people" in " ".join(refused.stderr.split())
    assert not (results / "study" / PAGE).exists()


def test_what_is_right_is_the_label_or_the_word_of_the_teacher_and_never_both() -> None:
    names, classes = ("happy", "sad"), ("sad", "happy", "fear")
    assert truth_of([1, -1, 0], names, [0, 0, 2], classes, "net") == (["sad", None, "happy"], names, "labels")
    words = (["sad", "sad", "fear"], classes, "teacher net")
    assert truth_of([-1, -1, -1], names, [0, 0, 2], classes, "net") == words
    assert truth_of([-1, -1, -1], None, [0, 0, 2], classes, "net") == words


def test_large_pictures_are_made_smaller() -> None:
    large = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert pixels(picture_uri(large)).shape == (MOST_PX, MOST_PX, 3)
    assert (pixels(picture_uri(large[:112, :112])) == large[:112, :112]).all()
