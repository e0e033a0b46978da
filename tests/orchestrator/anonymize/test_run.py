"""Runs over folders: the tree stays, originals stay, whatever happens files are whole, and the manifest has all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from orchestrator.anonymize.files import HOST
from orchestrator.recommend.recommendation import Recommendation, write
from tests.helpers.drawn_faces import called, is_face, picture
from tests.places import ROOT

NAMES = ("森/顔 一.png", "森/two\nlines.jpg", "deep/er/a b.webp", "plain.bmp", "%s $(x) 'q'.png", "лицо é.tif")
pytestmark = pytest.mark.usefixtures("drawn_finder")
BLACK = ("--method", "blackout", "--models", ".", "--processes", "1")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "in here"
    for n, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(300, 240, [(150, 120, 80)], seed=n)).save(folder / name)
    Image.fromarray(picture(300, 240, seed=77)).save(folder / "nobody.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "notes.txt").write_text("a text")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_keeps_its_tree_and_names_and_the_manifest_has_every_file(tree: Path, tmp_path: Path) -> None:
    before = files(tree)
    said = called(tree, tmp_path / "out", *BLACK)
    assert said.exit_code == 0, said.output
    assert files(tree) == before
    assert set(files(tmp_path / "out")) == {*NAMES, "manifest.parquet"}
    for name in NAMES:
        with Image.open(tmp_path / "out" / name) as released:
            assert released.size == (300, 240) and not is_face(np.asarray(released.convert("RGB"))).any()
    table = pq.read_table(tmp_path / "out" / "manifest.parquet")
    rows = {row["file"]: row for row in table.to_pylist()}
    assert set(rows) == set(before) and len(table) == len(before)
    for name in NAMES:
        row = rows[name]
        assert (row["status"], row["done"], row["face"]) == ("anonymized", "anonymized", 0)
        assert abs(row["left"] - 110) < 6 and abs(row["bottom"] - 160) < 6 and row["score"] > 0.8
    assert rows["nobody.png"]["status"] == "without face" and rows["nobody.png"]["left"] is None
    assert rows["broken.jpg"]["status"] == "unreadable" and rows["broken.jpg"]["why"]
    assert rows["notes.txt"]["status"] == "no picture"
    facts = json.loads(table.schema.metadata[b"anonymize"])
    assert facts["configuration"] == "Blackout(region='crop')" and "seed" not in facts
    assert "6 of 9 files released, 6 faces" in said.output and "'nobody.png'" in said.output


def test_pictures_without_a_face_are_copied_only_where_asked(tree: Path, tmp_path: Path) -> None:
    said = called(tree, tmp_path / "out", *BLACK, "--copy-without-face")
    assert said.exit_code == 0 and (tmp_path / "out" / "nobody.png").is_file()
    assert "copied without face: 1" in said.output


def test_one_picture_goes_to_a_file_or_into_a_folder(tree: Path, tmp_path: Path) -> None:
    assert called(tree / "plain.bmp", tmp_path / "new.bmp", *BLACK).exit_code == 0
    assert called(tree / "plain.bmp", tmp_path / "folder", *BLACK).exit_code == 0
    assert files(tmp_path)["new.bmp"] == files(tmp_path)["folder/plain.bmp"]
    assert (tmp_path / "new.bmp.manifest.parquet").is_file()
    for source, out, sentence in (
        ("plain.bmp", tmp_path / "new.bmp", "is there already; give --overwrite"),
        ("plain.bmp", tmp_path / "new.png", "expected a name that ends with .bmp"),
        ("plain.bmp", tree, "is the original"),
        ("nobody.png", tmp_path / "n.png", "no face was found"),
        ("broken.jpg", tmp_path / "n.jpg", "expected a picture that can be read"),
        ("notes.txt", tmp_path / "n.txt", "is none by its name"),
        ("absent.png", tmp_path / "n.png", "is not there"),
    ):
        said = called(tree / source, out, *BLACK)
        assert said.exit_code == 2 and sentence in said.output.replace("\n", " "), said.output
    assert not (tmp_path / "n.png").exists()
    assert called(tree / "plain.bmp", tmp_path / "new.bmp", *BLACK, "--overwrite").exit_code == 0


def test_originals_are_never_in_the_way(tree: Path, tmp_path: Path) -> None:
    before = files(tree)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "森").symlink_to(tree / "森")
    for out, sentence in (
        (tree, "outside of IN"),
        (tree / "sub", "outside of IN"),
        (tmp_path, "outside of IN"),
        (tmp_path / "out", "leads into IN"),
        (tree / "plain.bmp", "is a file"),
    ):
        said = called(tree, out, *BLACK, "--overwrite")
        assert said.exit_code == 2 and sentence in said.output, said.output
    assert files(tree) == before


def test_results_are_replaced_only_where_asked(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert called(tree, out, *BLACK).exit_code == 0
    said = called(tree, out, *BLACK)
    assert said.exit_code == 2 and "give --resume, --overwrite or another folder" in said.output
    assert "is done" in called(tree, out, *BLACK, "--resume").output
    assert called(tree, out, *BLACK, "--overwrite").exit_code == 0
    assert "expected one of them" in called(tree, out, *BLACK, "--overwrite", "--resume").output


def test_configurations_come_from_a_file_or_by_name(tree: Path, tmp_path: Path) -> None:
    write(Recommendation("pixelate", {"block": 56, "region": "crop"}), tmp_path / "r.json")
    assert called(tree, tmp_path / "a", "--config", tmp_path / "r.json", *BLACK[2:]).exit_code == 0
    by_name = ("--method", "pixelate", "--set", "block=56", *BLACK[2:])
    assert called(tree, tmp_path / "b", *by_name).exit_code == 0
    one, other = (files(tmp_path / folder) for folder in ("a", "b"))
    assert all(one[name] == other[name] for name in NAMES)
    models = ("--models", ".")
    for words, sentence in (
        ((*models,), "--config or --method: expected one of them, got neither"),
        ((*by_name, "--config", tmp_path / "r.json"), "got both"),
        ((*models, "--config", tmp_path / "r.json", "--set", "block=8"), "does nothing with --config"),
        ((*models, "--method", "pixelate"), "block"),
        ((*models, "--method", "pixelate", "--set", "block"), "expected NAME=VALUE"),
        ((*models, "--method", "pixelate", "--set", "block=many"), "expected a number, got 'many'"),
        ((*models, "--method", "pixelate", "--set", "block=1"), "expected one of Integer(low=2"),
        ((*models, "--method", "pixel"), "expected one of identity, blackout"),
        ((*models, "--method", "identity"), "expected a method that anonymizes"),
        ((*models, "--method", "k_same", "--set", "k=5"), "give --background"),
        (("--method", "blackout", "--models", tmp_path / "nowhere"), "expected a folder of networks"),
    ):
        said = called(tree, tmp_path / "c", *words)
        assert said.exit_code == 2 and sentence in said.output.replace("\n", " "), said.output
    assert not (tmp_path / "c").exists()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a text")
    said = called(tmp_path / "in", tmp_path / "out", *BLACK)
    assert said.exit_code == 2 and "has none" in said.output


def test_a_killed_run_leaves_whole_files_and_goes_on(tree: Path, tmp_path: Path) -> None:
    for n in range(30):
        Image.fromarray(picture(300, 240, [(150, 120, 80)], seed=n)).save(tree / f"many {n:02}.png")
    out = tmp_path / "out"
    program = f"""
import sys, time, pytest
sys.path.insert(0, {str(ROOT)!r})
from tests.helpers import drawn_faces
patch = pytest.MonkeyPatch()
drawn_faces.use_drawn_finder(patch)
find = drawn_faces.DrawnFinder.detect
def slow(*arguments):
    time.sleep(0.03)
    return find(*arguments)
drawn_faces.DrawnFinder.detect = slow
from orchestrator.anonymize.__main__ import app
app({[str(tree), str(out), *BLACK]!r})
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, start_new_session=True)
    late = time.monotonic() + 120
    while len(list(out.glob("many*"))) < 5 and time.monotonic() < late:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and ".anonymize" not in path.parts
    }
    assert 5 <= len(there) < 30 and not (out / "manifest.parquet").exists()
    for path in there:
        with Image.open(path) as released:
            assert not is_face(np.asarray(released.convert("RGB"))).any()
    (out / ".anonymize" / f".anonymize-{process.pid}.{HOST}.png").write_bytes(b"torn")
    with (out / ".anonymize" / "done.jsonl").open("ab") as journal:
        journal.write(b'{"file": "torn')
    assert "an unfinished run" in called(tree, out, *BLACK).output
    other = called(tree, out, "--method", "blur", "--set", "kernel=71", "--models", ".", "--resume")
    assert other.exit_code == 2 and "another configuration" in other.output
    said = called(tree, out, *BLACK, "--resume")
    assert said.exit_code == 0, said.output
    again = [path for path, written in there.items() if path.stat().st_mtime_ns != written]
    assert len(again) <= 1  # the one whose line was not written yet
    assert f"36 faces in them covered, {len(there) - len(again)} of them before and the others in" in said.output
    assert set(files(out)) == {*NAMES, *(f"many {n:02}.png" for n in range(30)), "manifest.parquet"}
    rows = pq.read_table(out / "manifest.parquet").to_pylist()
    assert {row["file"] for row in rows} == set(files(tree)) and len(rows) == 39


def test_a_seed_makes_it_again(tree: Path, tmp_path: Path) -> None:
    for out, seed in (("a", 1), ("b", 1)):
        assert called(tree, tmp_path / out, *BLACK, "--seed", seed).exit_code == 0
    assert all(files(tmp_path / "a")[name] == files(tmp_path / "b")[name] for name in NAMES)
