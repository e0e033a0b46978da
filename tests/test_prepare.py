"""Preparing: every picture is a face in the one file or a row of the other, however often the process is killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from evaluators.datasets.alignment import TEMPLATE, align
from evaluators.datasets.cropping import align_context, context_margin, crop_face, find_faces
from evaluators.datasets.duplicates import fingerprints, repeats
from evaluators.datasets.folder import folder_protocol
from evaluators.datasets.prepared import protocol_of
from evaluators.datasets.sources.pictures import Upright
from evaluators.networks.detection import Detection, FaceFinder
from orchestrator.prepare import preparation
from orchestrator.prepare.__main__ import app
from orchestrator.prepare.crop_workers import Cutter, Task, cut, cut_all
from orchestrator.prepare.faces_file import read_prepared, read_shard, write_faces, write_shard
from orchestrator.prepare.preparation import Settings, prepare
from orchestrator.terminal import counted
from tests.places import ROOT


class Whole:
    """Finds one face as large as the picture; none in a black one, two where the first pixel is pure red."""

    def detect(self, picture: np.ndarray) -> list[Detection]:
        height, width = picture.shape[:2]
        if picture[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None].max() == 0:
            return []
        landmarks = (TEMPLATE * [width / 112, height / 112]).astype(np.float32)
        face = Detection(np.array([0, 0, width, height], np.float32), 0.75, landmarks)
        small = Detection(np.array([0, 0, 2, 2], np.float32), 0.5, landmarks / 50)
        return [face, small] if tuple(picture[0, 0]) == (255, 0, 0) else [face]


@dataclass(frozen=True)
class WholeCutter(Cutter):
    """Cuts with that detector, and dies or fails at pictures that are named so."""

    def detector(self) -> FaceFinder:
        return Whole()


@dataclass(frozen=True)
class DyingCutter(WholeCutter):
    def detector(self) -> FaceFinder:
        return Dying()


class Dying(Whole):
    """Kills its process at a picture of 77x77 px, as a broken decoder or the kernel would; fails at one of 78x78."""

    def detect(self, picture: np.ndarray) -> list[Detection]:
        if picture.shape[0] == 77:
            os.kill(os.getpid(), signal.SIGKILL)
        if picture.shape[0] == 78:
            raise RuntimeError("no such operator")
        return super().detect(picture)


def draw(path: Path, seed: int, *, side: int = 112, dark: bool = False, two: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(1, 256, (14, 14, 3), dtype=np.uint8) * (not dark)
    image = Image.fromarray(small.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    image.putpixel((0, 0), (255, 0, 0) if two else (0, 0, 0))
    image.save(path, "png")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for person in range(8):
        for picture in range(5):
            draw(root / f"p{person}" / f"{picture}.png", 10 * person + picture)
    return root


def in_this_process(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
    assert processes >= 1
    for task in tasks:
        write_shard(task.path, cut(cutter, Whole(), task, done), cutter.size)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare with `Whole`, in this process."""
    monkeypatch.setattr(preparation, "load_detector", lambda folder, threads: Whole())
    monkeypatch.setattr(preparation, "cut_all", in_this_process)
    monkeypatch.setattr(preparation, "SHARD", 7)


def settings(source: Path, out: Path, **options: object) -> Settings:
    return Settings(source=str(source), models=source.parent, downloads=out.parent / "cache", out=out, **options)  # type: ignore[arg-type]


def quiet() -> Console:
    return Console(file=open(os.devnull, "w"))  # noqa: PTH123


def rejected(out: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(out / "rejected.parquet").to_pylist()
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: (row["reason"], row["detail"]) for row in rows}


# The geometry of the crops.


def test_the_context_shows_what_is_around_the_aligned_crop() -> None:
    assert [context_margin(size) for size in (112, 224)] == [40, 80]
    y, x = np.mgrid[:400, :400]
    picture = (np.stack([x, y, (x + y) / 2], axis=2) * 255 / 400).astype(np.uint8)
    turn = np.array([[0.9, -0.3], [0.3, 0.9]])
    landmarks = TEMPLATE @ turn.T + [120, 90]
    crop, context = align(picture, landmarks), align_context(picture, landmarks)
    assert context.shape == (192, 192, 3)
    assert np.abs(context[40:152, 40:152].astype(int) - crop).max() <= 1
    assert np.abs(align_context(picture, landmarks, 224)[::2, ::2].astype(int) - context).max() <= 3
    far = align_context(picture, landmarks - 200)
    assert (far[:40] == 0).all()  # where the picture ends


def test_a_face_that_fills_the_picture_is_found_in_a_frame() -> None:
    class NeedsRoom:
        def detect(self, picture: np.ndarray) -> list[Detection]:
            bright = np.argwhere(picture[..., 0] == 200)
            (top, left), (bottom, right) = bright.min(0), bright.max(0) + 1
            if top == 0:
                return []
            box = np.array([left, top, right, bottom], np.float32)
            return [Detection(box, 0.9, np.float32(TEMPLATE) + box[:2])]

    (found,) = find_faces(np.full((112, 112, 3), 200, np.uint8), NeedsRoom())
    assert found.box.tolist() == [0, 0, 112, 112] and np.allclose(found.landmarks, TEMPLATE, atol=1e-4)


def test_landmarks_are_in_px_of_the_file_and_several_faces_are_counted_or_refused() -> None:
    picture = np.full((56, 56, 3), 9, np.uint8)
    picture[0, 0] = (255, 0, 0)
    found = crop_face(Upright(picture, scale=4.0), Whole(), size=112)
    assert not isinstance(found, str)
    assert np.allclose(found.landmarks, TEMPLATE * 2, atol=1e-3) and (found.faces, found.score) == (2, 0.75)
    assert crop_face(Upright(picture), Whole(), size=112, one_face=True) == "several faces"
    assert crop_face(Upright(picture * 0), Whole(), size=112) == "no face"


def test_repeats_are_found_under_one_name_and_two() -> None:
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(1500, 3, 16, 16, generator=generator) * 255).byte()
    images[1200], images[1300], images[7] = images[3], images[3], images[6]
    images[20:23] = 0  # one color: alike, but no photograph
    identity = torch.arange(1500)
    identity[1300], identity[7] = 3, 6
    twin, other, same = repeats(fingerprints(images), identity)
    found = {
        name: {int(i): int(t[i]) for i in torch.nonzero(t >= 0)} for name, t in (("t", twin), ("o", other), ("s", same))
    }
    assert found == {"t": {3: 1200, 1200: 3, 1300: 1200}, "o": {1200: 3, 1300: 1200}, "s": {7: 6, 1300: 3}}
    assert all(len(found) == 0 for found in repeats(torch.empty(0, 256), torch.empty(0, dtype=torch.int64)))


# The file.


def test_one_file_maps_into_memory_without_a_copy(tree: Path, tmp_path: Path, whole: None) -> None:
    out = tmp_path / "faces"
    assert prepare(settings(tree, out), quiet()) == out
    assert sorted(path.name for path in out.iterdir()) == ["faces.arrow", "rejected.parquet"]
    prepared = read_prepared(out)
    again = read_prepared(out)
    faces = prepared.faces
    assert faces.images.shape == (40, 3, 112, 112) and prepared.context.shape == (40, 3, 192, 192)
    assert faces.key == tuple(f"p{p}/{i}.png" for p in range(8) for i in range(5))
    assert prepared.people == tuple(f"p{p}" for p in range(8)) and prepared.expressions is None
    assert faces.identity.tolist() == [p for p in range(8) for _ in range(5)]
    assert faces.expression.tolist() == [-1] * 40
    for i, key in enumerate(faces.key):
        upright = np.asarray(Image.open(tree / key))
        assert np.array_equal(faces.images[i].permute(1, 2, 0), align(upright, np.float32(TEMPLATE)))
        assert np.array_equal(prepared.context[i].permute(1, 2, 0), align_context(upright, np.float32(TEMPLATE)))
    assert np.allclose(prepared.landmarks, TEMPLATE, atol=1e-4)
    # All are views of one mapping; writing reaches neither the file nor another reader.
    spread = [t.data_ptr() for t in (faces.images, prepared.context, faces.identity, prepared.landmarks)]
    assert max(spread) - min(spread) < (out / "faces.arrow").stat().st_size
    faces.images.zero_()
    assert again.faces.images.float().mean() > 50 and read_prepared(out).faces.images.float().mean() > 50


def test_others_read_the_file_with_arrow_alone(tree: Path, tmp_path: Path, whole: None) -> None:
    prepare(settings(tree, tmp_path / "faces"), quiet())
    with pa.memory_map(str(tmp_path / "faces" / "faces.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        rows = table.select(["key", "digest", "score", "faces", "identity"]).to_pylist()
        facts = json.loads(table.schema.metadata[b"prepared"])
        assert table.schema.field("image").type.shape == [3, 112, 112]
        assert table.schema.field("landmarks").type.shape == [5, 2]
        assert table.num_rows == 40 and all(len(column.chunks) == 1 for column in table.columns)
        assert not any(field.nullable for field in table.schema)
    for row in rows:
        assert row["digest"] == hashlib.sha256((tree / row["key"]).read_bytes()).hexdigest()
        assert (row["score"], row["faces"]) == (0.75, 1)
    assert facts["plan"]["source"]["pictures"] == facts["n_faces"] == 40
    assert (facts["context_margin_px"], facts["people"][:2]) == (40, ["p0", "p1"])


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    program = f"""
import resource, sys
import numpy as np
from pathlib import Path
from orchestrator.faces_file import read_prepared, write_faces
n, path = 1500, Path({str(tmp_path)!r})
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
piece = {{"image": np.ones((50, 3, 112, 112), np.uint8), "context": np.full((50, 3, 192, 192), 2, np.uint8)}}
columns = {{"key": [str(i) for i in range(n)], "identity": np.zeros(n, np.int64), "expression": np.zeros(n, np.int64),
    "landmarks": np.zeros((n, 5, 2), np.float32), "score": np.zeros(n, np.float32), "faces": np.ones(n, np.int32),
    "digest": ["0"] * n}}
before, most = anonymous(), []
pixels = ((at, piece) for at in range(0, n, 50) if not most.append(anonymous()))
write_faces(path / "faces.arrow", columns, pixels, 112, {{"people": ["a"], "expressions": ["happy"], "name": "n"}})
prepared = read_prepared(path)
assert int(prepared.faces.images[::100].sum()) == 15 * 3 * 112 * 112 and int(prepared.context[-1].min()) == 2
most.append(anonymous())
print(max(most) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40_000  # kB; the pixels are 222,000
    assert (tmp_path / "faces.arrow").stat().st_size > 1500 * 3 * (112**2 + 192**2)


def test_a_file_that_is_no_prepared_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a prepared set, .*faces.arrow: .*; prepare it anew"):
        read_prepared(tmp_path)
    (tmp_path / "faces.arrow").write_bytes(b"torn")
    with pytest.raises(ValueError, match="expected a prepared set"):
        read_prepared(tmp_path)
    with pa.ipc.new_file(str(tmp_path / "faces.arrow"), pa.schema([])) as writer:
        writer.write_batch(pa.record_batch([], schema=pa.schema([])))
    with pytest.raises(ValueError, match="lacks the metadata of a prepared set"):
        read_prepared(tmp_path)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    columns = {"key": ["a"], "identity": [0], "expression": [-1], "landmarks": np.zeros((1, 5, 2), np.float32)}
    columns |= {"score": [1.0], "faces": [1], "digest": ["0"]}

    def pixels() -> object:
        raise OSError("disk full")
        yield

    with pytest.raises(OSError, match="disk full"):
        write_faces(tmp_path / "faces.arrow", columns, pixels(), 112, {})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


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
        prepare(settings(tree, out), console)
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
    prepare(settings(tree, strict, one_face=True), quiet())
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
        prepare(settings(tmp_path / "fer2013.csv", out), console)
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


# What it is for.


def test_the_protocol_is_the_folders(tree: Path, tmp_path: Path, whole: None) -> None:
    prepare(settings(tree, tmp_path / "faces"), quiet())
    prepared = read_prepared(tmp_path / "faces")
    for options in ({}, {"attacker_faces": 3, "background_faces": 1}, {"min_pictures": 5, "max_pictures": 4}):
        if options.get("min_pictures"):
            for path in (tree / "p7").iterdir():
                path.unlink()
            draw(tree / "p7" / "0.png", 70)
            prepare(settings(tree, tmp_path / "faces", overwrite=True), quiet())
            prepared = read_prepared(tmp_path / "faces")
        mine = protocol_of(prepared, seed=1, **options)  # type: ignore[arg-type]
        theirs = folder_protocol(tree, Whole(), seed=1, **options)  # type: ignore[arg-type]
        assert mine.digest == theirs.digest and mine.name == "set"
    assert mine.facts["source"] == "prepared set: 36 faces of 8 people"
    with pytest.raises(ValueError, match=r"with 6 pictures or more, got 0 of 8"):
        protocol_of(prepared, min_pictures=6)


def test_labels_reach_the_protocol(tree: Path, tmp_path: Path, whole: None) -> None:
    names = ("sad", "happy", "")
    lines = [f"p{p}/{i}.png,p{p},{names[i % 3]}" for p in range(8) for i in range(5)]
    (tree / "list.csv").write_text("path,identity,expression\n" + "\n".join(lines) + "\n")
    prepare(settings(tree / "list.csv", tmp_path / "faces"), quiet())
    protocol = protocol_of(read_prepared(tmp_path / "faces"))
    assert protocol.expressions == ("happy", "sad")
    for key, label in zip(protocol.probe.key, protocol.probe.expression.tolist(), strict=True):
        assert label == (1, 0, -1)[int(key[-5]) % 3]


def test_a_search_takes_the_set(tree: Path, tmp_path: Path, whole: None) -> None:
    from orchestrator.search.faces import load_protocol
    from orchestrator.search.settings import Settings as SearchSettings
    from search_spaces import SPACES

    prepare(settings(tree, tmp_path / "faces"), quiet())
    chosen = SearchSettings(
        space=SPACES["classical"], space_name="classical", data=tmp_path / "faces", seed=3, max_pictures=4
    )
    protocol = load_protocol(chosen, quiet())
    assert protocol.digest == protocol_of(read_prepared(tmp_path / "faces"), seed=3, max_pictures=4).digest


# Killed and resumed.


def test_it_goes_on_where_it_was_and_ends_the_same(
    tree: Path, tmp_path: Path, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    prepare(settings(tree, tmp_path / "once"), quiet())
    made: list[str] = []

    def interrupted(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
        for task in tasks[:2]:
            made.append(task.path.name)
            in_this_process(cutter, [task], processes=processes, done=done)
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "cut_all", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            prepare(settings(tree, out, resume=bool(made)), quiet())
    assert made == [f"shard-{at:09}.arrow" for at in (0, 7, 14, 21)]
    with pytest.raises(ValueError, match="holds a prepared set, or a part of one, already; give --resume"):
        prepare(settings(tree, out), quiet())
    # A torn shard, as after a power failure, and one that was never renamed.
    (out / "work" / made[1]).write_bytes(b"torn")
    (out / "work" / ".shard-000000035.arrow.1.new").write_bytes(b"torn")
    monkeypatch.setattr(preparation, "cut_all", in_this_process)
    prepare(settings(tree, out, resume=True), quiet())
    assert (out / "faces.arrow").read_bytes() == (tmp_path / "once" / "faces.arrow").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["faces.arrow", "rejected.parquet"]
    # Finished: there is nothing left to do.
    monkeypatch.setattr(preparation, "cut_all", interrupted)
    prepare(settings(tree, out, resume=True), quiet())


def test_it_does_not_go_on_with_something_else(tree: Path, tmp_path: Path, whole: None) -> None:
    out = tmp_path / "faces"
    prepare(settings(tree, out), quiet())
    before = (out / "faces.arrow").stat().st_mtime_ns
    for options, sentence in (({"size": 224}, "another size: 112, now 224"), ({"one_face": True}, "another one_face")):
        with pytest.raises(ValueError, match=sentence):
            prepare(settings(tree, out, resume=True, **options), quiet())
    draw(tree / "p9" / "0.png", 99)
    with pytest.raises(ValueError, match=r"another source: .*'pictures': 40.* now .*'pictures': 41"):
        prepare(settings(tree, out, resume=True), quiet())
    assert (out / "faces.arrow").stat().st_mtime_ns == before and not (out / "work").exists()
    (out / "mine.txt").write_text("kept")
    prepare(settings(tree, out, overwrite=True), quiet())
    assert len(read_prepared(out).faces) == 41 and (out / "mine.txt").read_text() == "kept"


def test_only_one_prepares_a_folder_at_a_time(
    tree: Path, tmp_path: Path, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"

    def again(cutter: Cutter, tasks: Sequence[Task], *, processes: int, done: Callable[[int], None]) -> None:
        prepare(settings(tree, out, resume=True), quiet())

    monkeypatch.setattr(preparation, "cut_all", again)
    with pytest.raises(ValueError, match="another process prepares"):
        prepare(settings(tree, out), quiet())


def test_no_faces_at_all_is_an_error_with_the_numbers(tmp_path: Path, whole: None) -> None:
    root = tmp_path / "set"
    draw(root / "a" / "1.png", 0, dark=True)
    (root / "a" / "2.png").write_bytes(b"x")
    out = tmp_path / "faces"
    with pytest.raises(ValueError, match=r"got none in 2 pictures: \{'no face': 1, 'unreadable': 1\}"):
        prepare(settings(root, out), quiet())
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
    chosen = Settings(source="lfw", models=tmp_path, downloads=tmp_path / "cache")
    assert prepare(chosen, quiet()) == Path("faces/set") and asked == [("lfw", tmp_path / "cache")]
    assert len(read_prepared(tmp_path / "faces" / "set").faces) == 40
    (tmp_path / "lfw").symlink_to(tree)  # a path goes first
    prepare(settings(Path("lfw"), tmp_path / "mine"), quiet())
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
        (["--size", "8"], "--size: expected 32 to 1024 px, got 8"),
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
    assert "nowhere is none" in refused("nowhere", "--out", str(tmp_path / "o"), *models)
    assert "that can be written" in refused(str(tree), "--out", "/proc/nowhere", *models)
    assert "which is not there" in refused(str(tree), "--out", str(tmp_path / "o"), "--resume", *models)
    (tmp_path / "file").write_text("x")
    assert "file is a file" in refused(str(tree), "--out", str(tmp_path / "file"), *models)
    assert "holds other files already" in refused(str(tree), "--out", str(tree), *models)
    assert not (tmp_path / "o").exists()


# Several processes.


def tasks_of(tree: Path, folder: Path, size: int) -> tuple[Cutter, list[Task]]:
    from evaluators.datasets.sources.opening import open_source

    folder.mkdir()
    source = open_source(tree)
    count = len(source.pictures)
    tasks = [Task(folder / f"{at}.arrow", at, source.pictures[at : at + size]) for at in range(0, count, size)]
    return WholeCutter(source.root, tree, 112, False), tasks


@pytest.mark.slow
def test_processes_make_the_shards_that_one_would(tree: Path, tmp_path: Path) -> None:
    cutter, tasks = tasks_of(tree, tmp_path / "a", 6)
    seen: list[int] = []
    cut_all(cutter, tasks, processes=2, done=seen.append)
    assert sum(seen) == 40
    for task in tasks:
        mine, theirs = read_shard(task.path), cut(cutter, Whole(), task, lambda count: None)
        assert mine.index.tolist() == theirs.index.tolist() and mine.digest == theirs.digest
        for name in ("image", "context", "landmarks", "score", "faces", "fingerprint"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name


@pytest.mark.slow
@pytest.mark.parametrize(("side", "sentence"), [(77, "code -9 at the picture 'p3/7.png'"), (78, "no such operator")])
def test_a_process_that_dies_names_the_picture(tree: Path, tmp_path: Path, side: int, sentence: str) -> None:
    draw(tree / "p3" / "7.png", 500, side=side)
    cutter, tasks = tasks_of(tree, tmp_path / "a", 10)
    dying = DyingCutter(cutter.root, cutter.models, cutter.size, cutter.one_face)
    with pytest.raises(RuntimeError, match=sentence) as caught:
        cut_all(dying, tasks, processes=1, done=lambda count: None)
    assert "'p3/7.png'; --resume goes on" in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "a").glob("*.arrow")) == ["0.arrow", "10.arrow"]


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
