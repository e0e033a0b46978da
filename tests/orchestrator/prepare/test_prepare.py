"""Preparing: every picture is a face in the one file or a row of the other, however often the process is killed."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from evaluators.datasets.alignment import align
from evaluators.datasets.prepared import protocol_of
from orchestrator.prepare import preparation
from orchestrator.prepare.__main__ import app
from orchestrator.prepare.crop_workers import Cutter, Task
from orchestrator.prepare.faces_file import read_prepared
from orchestrator.prepare.options import Preparation
from orchestrator.prepare.preparation import prepare
from orchestrator.terminal import counted
from tests.helpers.prepared_sets import MODELS, draw, in_this_process, quiet, rejected, settings
from tests.places import ROOT

# Nothing disappears.


def test_every_picture_is_a_face_or_a_row_with_its_reason(tree: Path, tmp_path: Path, whole: None) -> None:
    odd = '王 "q" O\'N\nx'
    draw(tree / odd / "1 2.png", 900)
    draw(tree / "p0" / "dark.png", 0, dark=True)
    Image.new("RGB", (1, 1)).save(tree / "p0" / "one.png")
    (tree / "p1" / "text.jpg").write_bytes(b"no picture")
    (tree / "p1" / "empty.jpg").write_bytes(b"")
    (tree / "p1" / "torn.png").write_bytes((tree / "p0" / "0.png").read_bytes()[:2000])
    (tree / "p1" / "gone.png").symlink_to("nothing")
    (tree / "p1" / "loop").symlink_to(tree)
    (tree / "p2" / "notes.txt").write_text("x")
    draw(tree / "p3" / "two.png", 901, two=True)
    shutil.copy(tree / "p4" / "0.png", tree / "p5" / "copy.png")
    Image.open(tree / "p6" / "0.png").resize((200, 200)).save(tree / "p6" / "larger.jpg", quality=90)
    out = tmp_path / "faces"
    with Console(file=(tmp_path / "log").open("w"), width=100) as console:
        prepare(settings(tree, out), MODELS, console)
    assert rejected(out) == {
        "p0/dark.png": ("no face", ""),
        "p0/one.png": ("no face", ""),
        "p1/empty.jpg": ("unreadable", "the file is empty"),
        "p1/gone.png": ("unreadable", "there is no such file"),
        "p1/text.jpg": ("unreadable", "no picture in a known format"),
        "p1/torn.png": ("unreadable", rejected(out)["p1/torn.png"][1]),
        "p4/0.png": ("duplicate under two identities", "also p5/copy.png"),
        "p5/copy.png": ("duplicate under two identities", "also p4/0.png"),
    }
    assert "truncated" in rejected(out)["p1/torn.png"][1]
    keys = read_prepared(out).faces.key
    assert {f"{odd}/1 2.png", "p3/two.png", "p6/larger.jpg"} < set(keys)
    assert len(keys) + 8 == 40 + 10 and not set(keys) & set(rejected(out))
    assert pq.read_table(out / "rejected.parquet").column("identity").to_pylist()[:2] == ["p0", "p0"]
    console.file.close()
    text = (tmp_path / "log").read_text()
    for line in (
        "set: 50 pictures, 42 faces of 9 people",
        "rejected, unreadable: 4",
        "rejected, no face: 2",
        "rejected, duplicate under two identities: 2",
        "several faces, of which the main one was taken: 1",
        "no split puts these on two sides: 1",
        "ignored, files .txt: 1",
        "ignored, links to folders already seen: 1",
    ):
        assert line in text
    strict = tmp_path / "strict"
    prepare(settings(tree, strict, one_face=True), MODELS, quiet())
    assert rejected(strict)["p3/two.png"] == ("several faces", "")


def test_a_set_of_one_picture_per_identity_keeps_its_labels_and_the_first_of_equals(
    tmp_path: Path, whole: None
) -> None:
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(1, 256, (6, 6), dtype=np.uint8)).resize((48, 48)) for _ in range(4)]
    small.insert(2, small[0])
    rows = [
        f"{emotion},{' '.join(map(str, np.asarray(i).ravel()))}"
        for emotion, i in zip((3, 6, 0, 3, 5), small, strict=True)
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels", *rows, "4,1 2 3"]) + "\n")
    out = tmp_path / "faces"
    with Console(file=(tmp_path / "log").open("w"), width=100) as console:
        prepare(settings(tmp_path / "fer2013.csv", out), MODELS, console)
    console.file.close()
    prepared = read_prepared(out)
    assert prepared.expressions == ("happy", "neutral", "surprise")
    assert prepared.faces.expression.tolist() == [0, 1, 0, 2]
    assert prepared.faces.key == tuple(f"fer2013.csv#{i}" for i in (2, 3, 5, 6))
    assert {key: reason for key, (reason, _) in rejected(out).items()} == {
        "fer2013.csv#4": "duplicate under two identities",
        "fer2013.csv#7": "unreadable",
    }
    sentence = "each of the 4 people in fer2013 has 1"
    with pytest.raises(ValueError, match=sentence):
        protocol_of(prepared)
    assert "cannot serve as --data of a search" in (tmp_path / "log").read_text()


def test_a_search_takes_the_set(tree: Path, tmp_path: Path, whole: None) -> None:
    from orchestrator.search.faces import FaceChoice, load_protocol

    prepare(settings(tree, tmp_path / "faces"), MODELS, quiet())
    chosen = FaceChoice(data=tmp_path / "faces", seed=3, max_pictures=4)
    protocol = load_protocol(chosen, None, quiet())
    assert protocol.digest == protocol_of(read_prepared(tmp_path / "faces"), seed=3, max_pictures=4).digest


# Killed and resumed.


def test_it_goes_on_where_it_was_and_ends_the_same(
    tree: Path, tmp_path: Path, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    prepare(settings(tree, tmp_path / "once"), MODELS, quiet())
    made: list[str] = []

    def interrupted(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
        for task in tasks[:2]:
            made.append(task.path.name)
            in_this_process(cutter, [task], processes=processes, done=done)
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "cut_all", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            prepare(settings(tree, out, resume=bool(made)), MODELS, quiet())
    assert made == [f"shard-{at:09}.arrow" for at in (0, 7, 14, 21)]
    with pytest.raises(ValueError, match="holds a prepared set, or a part of one, already; give --resume"):
        prepare(settings(tree, out), MODELS, quiet())
    # A torn shard, as after a power failure, and one that was never renamed.
    (out / "work" / made[1]).write_bytes(b"torn")
    (out / "work" / ".shard-000000035.arrow.1.new").write_bytes(b"torn")
    monkeypatch.setattr(preparation, "cut_all", in_this_process)
    prepare(settings(tree, out, resume=True), MODELS, quiet())
    assert (out / "faces.arrow").read_bytes() == (tmp_path / "once" / "faces.arrow").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["faces.arrow", "rejected.parquet"]
    # Finished: there is nothing left to do.
    monkeypatch.setattr(preparation, "cut_all", interrupted)
    prepare(settings(tree, out, resume=True), MODELS, quiet())


def test_it_does_not_go_on_with_something_else(tree: Path, tmp_path: Path, whole: None) -> None:
    out = tmp_path / "faces"
    prepare(settings(tree, out), MODELS, quiet())
    before = (out / "faces.arrow").stat().st_mtime_ns
    for options, sentence in (({"size": 224}, "another size: 112, now 224"), ({"one_face": True}, "another one_face")):
        with pytest.raises(ValueError, match=sentence):
            prepare(settings(tree, out, resume=True, **options), MODELS, quiet())
    draw(tree / "p9" / "0.png", 99)
    with pytest.raises(ValueError, match="another number of pictures: 40, now 41; give --overwrite"):
        prepare(settings(tree, out, resume=True), MODELS, quiet())
    assert (out / "faces.arrow").stat().st_mtime_ns == before and not (out / "work").exists()
    (out / "mine.txt").write_text("kept")
    prepare(settings(tree, out, overwrite=True), MODELS, quiet())
    assert len(read_prepared(out).faces) == 41 and (out / "mine.txt").read_text() == "kept"


def test_only_one_prepares_a_folder_at_a_time(
    tree: Path, tmp_path: Path, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"

    def again(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
        prepare(settings(tree, out, resume=True), MODELS, quiet())

    monkeypatch.setattr(preparation, "cut_all", again)
    with pytest.raises(ValueError, match="another process prepares"):
        prepare(settings(tree, out), MODELS, quiet())


def test_no_faces_at_all_is_an_error_with_the_numbers(tmp_path: Path, whole: None) -> None:
    root = tmp_path / "set"
    draw(root / "a" / "1.png", 0, dark=True)
    (root / "a" / "2.png").write_bytes(b"x")
    out = tmp_path / "faces"
    with pytest.raises(ValueError, match=r"got none in 2 pictures: \{'no face': 1, 'unreadable': 1\}"):
        prepare(settings(root, out), MODELS, quiet())
    assert set(rejected(out)) == {"a/1.png", "a/2.png"} and not (out / "faces.arrow").exists()


def test_a_set_may_be_downloaded_by_its_name(
    tree: Path, tmp_path: Path, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def fetch(name: str, folder: Path, progress: Callable[[int, int | None], None]) -> Path:
        asked.append((name, folder))
        progress(1 << 20, None)
        progress(2 << 20, 2 << 20)
        return tree

    monkeypatch.setattr(preparation, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    chosen = Preparation(source="lfw", downloads=tmp_path / "cache")
    assert prepare(chosen, tmp_path, quiet()) == Path("faces/set") and asked == [("lfw", tmp_path / "cache")]
    assert len(read_prepared(tmp_path / "faces" / "set").faces) == 40
    (tmp_path / "lfw").symlink_to(tree)  # a path goes first
    prepare(settings(Path("lfw"), tmp_path / "mine"), MODELS, quiet())
    assert len(asked) == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_or_lines(terminal: bool) -> None:
    file = io.StringIO()
    with counted(Console(file=file, force_terminal=terminal, width=100), "lfw", total=200) as progress:
        for done in range(0, 201, 5):
            progress(done, 200)
    lines = file.getvalue().splitlines()
    if terminal:
        assert "200/200" in file.getvalue()
    else:
        assert len(lines) == 11 and lines[0].startswith("lfw: 0 of 200") and lines[-1].startswith("lfw: 200 of 200")


# The command line.


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--size", "8"], "--size: expected 32 to 1024, got 8"),
        (["--processes", "0"], "--processes: expected at least 1, got 0"),
        (["--limit", "0"], "--limit: expected at least 1, got 0"),
        (["--resume", "--overwrite"], "--resume and --overwrite: expected one of them"),
        (["--models", "/no/such"], "--models: expected a folder of networks, /no/such is none"),
        ([], "scrfd"),
    ],
    ids=str,
)
def test_bad_input_gets_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    models = [] if "--models" in arguments else ["--models", str(tmp_path)]
    said = refused(str(tmp_path), "--out", str(tmp_path / "out"), *models, *arguments)
    assert sentence in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("whole")
def test_bad_folders_get_a_sentence(tree: Path, tmp_path: Path) -> None:
    models = ["--models", str(tmp_path)]
    assert "got 'nowhere'" in refused("nowhere", "--out", str(tmp_path / "o"), *models)
    assert "that can be written" in refused(str(tree), "--out", "/proc/nowhere", *models)
    assert "which is not there" in refused(str(tree), "--out", str(tmp_path / "o"), "--resume", *models)
    (tmp_path / "file").write_text("x")
    assert "file is a file" in refused(str(tree), "--out", str(tmp_path / "file"), *models)
    assert "holds other files; name another" in refused(str(tree), "--out", str(tree), *models)
    assert "holds other files" in refused(str(tree), "--out", str(tree), "--overwrite", *models)
    assert not (tmp_path / "o").exists()


def command(shared: Path, out: Path, *arguments: str) -> list[str]:
    lfw, models = str(shared / "data" / "lfw"), str(shared / "models")
    program = [sys.executable, "-m", "orchestrator.prepare", lfw, "--models", models, "--out", str(out)]
    return [*program, "--limit", "384", *arguments]


@pytest.mark.real
@pytest.mark.slow
def test_killed_and_interrupted_it_goes_on_and_leaves_no_process(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    for ending in (signal.SIGKILL, signal.SIGINT):
        flags = ["--resume"] if out.exists() else []
        before = len(list(out.glob("work/shard-*")))
        process = subprocess.Popen(
            command(shared, out, "--processes", "2", *flags), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 60
        while len(list(out.glob("work/shard-*"))) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        process.send_signal(ending)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (-9 if ending == signal.SIGKILL else 130), errors
        assert "--resume goes on" in errors or ending == signal.SIGKILL
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/cmdline").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert children and not any(Path(f"/proc/{pid}").exists() for pid in children)
        assert 0 < len(list(out.glob("work/shard-*"))) < 12 and not (out / "faces.arrow").exists()
    done = subprocess.run(command(shared, out, "--resume"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lfw: 384 pictures, 384 faces of" in done.stdout
    prepared = read_prepared(out)
    assert len(prepared.faces) == 384 and not (out / "work").exists()
    picture = np.asarray(Image.open(shared / "data" / "lfw" / prepared.faces.key[5]).convert("RGB"))
    crop = align(picture, prepared.landmarks[5].numpy())
    assert np.abs(crop.transpose(2, 0, 1).astype(int) - prepared.faces.images[5].numpy()).max() == 0
