"""What a source is taken for, and which pictures of whom it lists."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators.datasets.sources import archives
from evaluators.datasets.sources.archives import ARCHIVES, Archive, fetch
from evaluators.datasets.sources.listing import Picture, Source, decode, read_bytes
from evaluators.datasets.sources.opening import open_source
from evaluators.networks.catalog.downloads import download


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), len(name)).save(path, "png")
    return root


def listed(source: Source) -> list[tuple[str, str, str | None]]:
    return [(picture.key, picture.identity, picture.expression) for picture in source.pictures]


def test_a_folder_per_person(tmp_path: Path) -> None:
    put(tmp_path, "Bo/2.png", "Bo/1.JPG", "Ada/deeper/x.webp", "Ada/.hidden.png", ".git/a.png", "beside.png")
    (tmp_path / "Ada" / "notes.txt").write_text("no picture")
    source = open_source(tmp_path)
    assert (source.kind, source.root, source.name, source.known) == ("folders", tmp_path, tmp_path.name, True)
    assert listed(source) == [
        ("Ada/deeper/x.webp", "Ada", None),
        ("Bo/1.JPG", "Bo", None),
        ("Bo/2.png", "Bo", None),
    ]
    assert source.ignored == {"hidden": 2, "files .txt": 1, "files beside the people's folders": 1}


def test_names_with_everything_in_them(tmp_path: Path) -> None:
    names = ["王小明/照片 1.png", 'O\'Neil "Q"/a b.png', "line\nbreak/c\nd.png", "comma, tab\t/é.png"]
    put(tmp_path, *names)
    odd = os.fsdecode(b"latin\xe9")  # not UTF-8
    put(tmp_path, f"{odd}/e\udcff.png")
    source = open_source(tmp_path)
    keys = {picture.key for picture in source.pictures}
    assert keys == {*names, "latin\\udce9/e\\udcff.png"}
    for picture in source.pictures:
        picture.key.encode()
        assert decode(picture, read_bytes(source.root, picture)).pixels.shape == (4, 4, 3)


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    root = put(tmp_path / "set", "Ada/1.png", "Bo/1.png")
    put(tmp_path / "elsewhere", "far/2.png", "3.png")
    (root / "Ada" / "linked.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    (root / "Ada" / "folder").symlink_to(tmp_path / "elsewhere" / "far")
    (root / "Ada" / "again").symlink_to(tmp_path / "elsewhere" / "far")
    (root / "Ada" / "loop").symlink_to(root / "Ada")
    (root / "Ada" / "up").symlink_to("..")
    (root / "Bo" / "gone.png").symlink_to("nothing")
    (root / "Bo" / "itself.png").symlink_to("itself.png")
    (root / "Bo" / "deep").mkdir()
    (root / "Bo" / "deep" / "up").symlink_to("../..")
    (root / "all").symlink_to(".")
    os.mkfifo(root / "Bo" / "pipe.png")
    source = open_source(root)
    keys = [picture.key for picture in source.pictures]
    assert keys == [
        "Ada/1.png",
        "Ada/again/2.png",
        "Ada/linked.png",
        "Bo/1.png",
        "Bo/gone.png",
        "Bo/itself.png",
        "Bo/pipe.png",
    ]
    assert source.ignored == {"links to folders already seen": 5}
    errors = {"Bo/gone.png": FileNotFoundError, "Bo/itself.png": OSError, "Bo/pipe.png": ValueError}
    for picture in source.pictures:
        if picture.key in errors:
            with pytest.raises(errors[picture.key]):
                read_bytes(root, picture)


def test_an_archive_in_a_folder_in_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "lfw" / "lfw_funneled", "Ada/1.jpg", "Bo/1.jpg")
    (tmp_path / "lfw" / "lfw_funneled" / "pairs.txt").write_text("10")
    source = open_source(tmp_path / "lfw")
    assert [identity for _, identity, _ in listed(source)] == ["Ada", "Bo"]
    assert source.name == "lfw"
    put(tmp_path / "alone", "Ada/1.png")  # one person, not an outer folder
    assert listed(open_source(tmp_path / "alone")) == [("Ada/1.png", "Ada", None)]
    (tmp_path / "around").mkdir()
    (tmp_path / "around" / "again").symlink_to(tmp_path / "around")
    with pytest.raises(ValueError, match="expected one folder of pictures"):
        open_source(tmp_path / "around")


def test_pins_and_orl(tmp_path: Path) -> None:
    pins = put(tmp_path / "pins" / "105_classes_pins_dataset", "pins_Ada L/Ada0_0.jpg", "pins_Bo/Bo1.jpg").parent
    assert listed(open_source(pins)) == [("pins_Ada L/Ada0_0.jpg", "Ada L", None), ("pins_Bo/Bo1.jpg", "Bo", None)]
    orl = put(tmp_path / "orl", "s1/1.pgm", "s1/10.pgm", "s2/1.pgm")
    (orl / "README").write_text("ORL")
    source = open_source(orl)
    assert [identity for _, identity, _ in listed(source)] == ["s1", "s1", "s2"]
    assert source.ignored == {"files beside the people's folders": 1}


def test_the_yale_faces(tmp_path: Path) -> None:
    put(tmp_path / "yalefaces", "subject01.happy", "subject01.wink.gif", "subject02.surprised", "subject02.normal.pgm")
    (tmp_path / "yalefaces" / "Readme.txt").write_text("Yale")
    for root in (tmp_path / "yalefaces", tmp_path):
        source = open_source(root)
        assert (source.kind, source.ignored) == ("subjects", {"files named otherwise": 1})
        assert listed(source) == [
            ("subject01.happy", "subject01", "happy"),
            ("subject01.wink.gif", "subject01", None),
            ("subject02.normal.pgm", "subject02", "neutral"),
            ("subject02.surprised", "subject02", "surprise"),
        ]


@pytest.mark.parametrize("folder", ["img_celeba", "img_align_celeba", "."])
@pytest.mark.parametrize("place", ["", "Anno/"])
def test_celeba(tmp_path: Path, folder: str, place: str) -> None:
    put(tmp_path / folder, "000001.jpg", "000002.jpg", "000009.jpg")
    put(tmp_path, f"{place}identity_CelebA.txt").joinpath(f"{place}identity_CelebA.txt").write_text(
        "000001.jpg 2880\n000002.jpg 17\n000003.jpg 2880\n\n"
    )
    source = open_source(tmp_path)
    prefix = "" if folder == "." else f"{folder}/"
    assert source.kind == "celeba"
    assert listed(source) == [(f"{prefix}00000{i}.jpg", who, None) for i, who in ((1, "2880"), (2, "17"), (3, "2880"))]
    assert source.ignored == {"pictures that the list does not name": 1}


def test_celeba_that_is_broken(tmp_path: Path) -> None:
    listing = tmp_path / "identity_CelebA.txt"
    listing.write_text("000001.jpg 1\n")
    with pytest.raises(ValueError, match=r"expected CelebA's pictures in one of img_celeba, .* has none"):
        open_source(tmp_path)
    put(tmp_path, "img_celeba/000001.jpg")
    listing.write_text("000001.jpg 1\n000002.jpg\n")
    with pytest.raises(ValueError, match=r"identity_CelebA.txt, line 2: expected .* got '000002.jpg'"):
        open_source(tmp_path)
    listing.write_text("000001.jpg 1\n000001.jpg 2\n")
    with pytest.raises(ValueError, match=r"'img_celeba/000001.jpg' is listed 2 times"):
        open_source(tmp_path)


PIXELS = np.arange(48 * 48, dtype=np.int64) % 256


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_fer2013(tmp_path: Path, header: str) -> None:
    def row(emotion: int, pixels: np.ndarray) -> str:
        cells = {"emotion": str(emotion), "pixels": " ".join(map(str, pixels)), "Usage": "Training"}
        return ",".join(cells[name.strip()] for name in header.split(","))

    table = tmp_path / ("fer2013.csv" if "s,U" in header else "icml_face_data.csv")
    rows = [header, row(3, PIXELS), row(0, 255 - PIXELS), "", row(6, PIXELS[:100]), row(6, PIXELS[:99])]
    table.write_bytes("\r\n".join(rows).encode())
    for path in (table, tmp_path):
        source = open_source(path)
        assert (source.kind, source.name, source.known) == ("fer2013", table.stem, False)
        at = (2, 3, 5, 6)
        names, nobody = [f"{table.name}#{i}" for i in at], [f"fer2013#{i}" for i in at]  # of whatever file
        assert listed(source) == list(zip(names, nobody, ["happy", "anger", "neutral", "neutral"], strict=True))
    data = [read_bytes(source.root, picture) for picture in source.pictures]
    first, second, small = (decode(source.pictures[i], data[i]).pixels for i in range(3))
    assert np.array_equal(first, np.repeat(PIXELS.reshape(48, 48, 1), 3, axis=2))
    assert np.array_equal(second, 255 - first) and small.shape == (10, 10, 3)
    with pytest.raises(ValueError, match="expected a square of gray levels from 0 to 255, got 99 values"):
        decode(source.pictures[3], data[3])


def test_fer2013_that_is_broken(tmp_path: Path) -> None:
    table = tmp_path / "fer2013.csv"
    for label in ("7", "", "happy"):
        table.write_text(f"emotion,pixels\n{label},1 2 3 4\n")
        with pytest.raises(ValueError, match=rf"fer2013.csv, row 2: expected an emotion from 0 to 6, got '{label}'"):
            open_source(table)
    table.write_text("emotion,pixels\n")
    with pytest.raises(ValueError, match="expected rows of pixels"):
        open_source(tmp_path)
    for pixels in ("1 2 3 x", "1 2 3 256", "1 2 3 -1"):
        with pytest.raises(ValueError, match=r"invalid literal|expected a square of gray levels"):
            decode(Picture("k", "k", "k", offset=0), f"0,{pixels}".encode())


def test_a_table_of_paths(tmp_path: Path) -> None:
    put(tmp_path, "in/a.png", "in/b, c.png", 'in/q"\n.png')
    outside = put(tmp_path / "outside", "d.png") / "d.png"
    table = tmp_path / "in" / "faces.csv"
    table.write_text(
        "\ufeffPath, identity, expression\r\na.png,Ada,happy\r\n"
        f'"b, c.png",Ada,\r\n"q""\n.png",王,sad\r\n{outside},Bo\r\n',
        newline="",
    )
    source = open_source(table)
    assert (source.kind, source.name) == ("table", "faces")
    assert listed(source) == [
        ("a.png", "Ada", "happy"),
        ("b, c.png", "Ada", None),
        ('q"\n.png', "王", "sad"),
        (str(outside), "Bo", None),
    ]
    for picture in source.pictures:
        assert read_bytes(source.root, picture)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,identity\n", "expected rows of path,identity"),
        ("path,identity\na.png,\n", "line 2: expected a path and an identity"),
        ("path,identity\na.png,A\n,B\n", "line 3: expected a path and an identity"),
        ("path,identity\na.png,A\na.png,B\n", "'a.png' is listed 2 times"),
        ("file,name\na.png,A\n", r"expected a header with path,identity\[,expression\]"),
        ("", "expected a header"),
        (
            'path,identity\na.png,A\n"b.png,B\nc.png,C\n',
            "line 3: expected a row of a CSV file, whose quotes are closed",
        ),
        ('path,identity\n"a.png,A\n"b.png",B\n', "line 2: expected a row of a CSV file, whose quotes are closed"),
        ('path,identity\n"a.png,A\n' + "b.png,B\n" * 20_000, "line 2: .* field larger than field limit"),
        ("x" * 200_000, "no line of a CSV file|expected a header"),
    ],
)
def test_a_table_that_is_broken(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        open_source(tmp_path / "t.csv")


def test_what_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SOURCE: expected a folder, a CSV file or .*nowhere is none"):
        open_source(tmp_path / "nowhere")
    put(tmp_path, "flat.png")
    with pytest.raises(ValueError, match=r"expected one folder .* but files beside the people's folders \(1\)"):
        open_source(tmp_path)
    put(tmp_path / "b", "1.jpg")
    with pytest.raises(ValueError, match="expected a header"):
        open_source(tmp_path / "b" / "1.jpg")


def test_the_digest_is_of_the_list(tmp_path: Path) -> None:
    root = put(tmp_path / "set", "Ada/1.png", "Bo/1.png")
    before = open_source(root).digest
    assert before == open_source(root).digest
    put(root, "Bo/2.png")
    assert before != open_source(root).digest


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    (tmp_path / "served").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}", tmp_path / "served"
        http.shutdown()
        thread.join()


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def test_lfw_is_downloaded_verified_and_unpacked(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, served = server
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "jpeg")
    data = packed({f"lfw/{who}/{who}_0001.jpg": picture.getvalue() for who in ("Ada", "Bo")})
    (served / "lfw.tgz").write_bytes(data)
    good = Archive(f"{url}/lfw.tgz", hashlib.sha256(data).hexdigest(), "none")
    monkeypatch.setitem(ARCHIVES, "lfw", good)
    seen: list[tuple[int, int | None]] = []
    folder = fetch("lfw", tmp_path / "cache", lambda *at: seen.append(at))
    assert seen[-1] == (len(data), len(data))
    source = open_source(folder)
    assert source.name == "lfw" and [identity for _, identity, _ in listed(source)] == ["Ada", "Bo"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lfw"]
    (served / "lfw.tgz").unlink()
    assert fetch("lfw", tmp_path / "cache") == folder  # offline from now on


def test_an_archive_that_is_not_the_right_one_leaves_nothing(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, served = server
    (served / "lfw.tgz").write_bytes(b"something else")
    monkeypatch.setitem(ARCHIVES, "lfw", Archive(f"{url}/lfw.tgz", "0" * 64, "none"))
    with pytest.raises(ValueError, match="0" * 64):
        fetch("lfw", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    data = packed({"../outside.jpg": b"x"})
    (served / "lfw.tgz").write_bytes(data)
    monkeypatch.setitem(ARCHIVES, "lfw", Archive(f"{url}/lfw.tgz", hashlib.sha256(data).hexdigest(), "none"))
    with pytest.raises(ValueError, match=r"lfw\.tgz: expected an archive that unpacks: .*outside"):
        fetch("lfw", tmp_path / "cache")
    assert not (tmp_path / "outside.jpg").exists() and not (tmp_path / "cache" / "outside.jpg").exists()
    assert not (tmp_path / "cache" / "lfw").exists()


def test_an_archive_that_lies_in_the_cache_is_verified_before_it_is_unpacked(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, served = server
    data = packed({"lfw/Ada/1.jpg": b"right"})
    (served / "lfw.tgz").write_bytes(data)
    monkeypatch.setitem(ARCHIVES, "lfw", Archive(f"{url}/lfw.tgz", hashlib.sha256(data).hexdigest(), "none"))
    for other in (packed({"lfw/Eve/1.jpg": b"another"}), data[:-20], b""):
        cache = tmp_path / f"cache{len(other)}"
        cache.mkdir()
        (cache / "lfw.tgz").write_bytes(other)
        assert (fetch("lfw", cache) / "lfw" / "Ada" / "1.jpg").read_bytes() == b"right"
        assert not (cache / "lfw" / "lfw" / "Eve").exists()


def test_a_download_that_fails_says_so_and_leaves_nothing(tmp_path: Path, server: tuple[str, Path]) -> None:
    url, served = server
    (served / "a").write_bytes(b"abc")
    download(f"{url}/a", tmp_path / "new" / "a", hashlib.sha256(b"abc").hexdigest())
    assert (tmp_path / "new" / "a").read_bytes() == b"abc"
    for bad in (f"{url}/missing", "http://127.0.0.1:1/a"):
        with pytest.raises(ValueError, match=bad.replace(".", r"\.")):
            download(bad, tmp_path / "b", "0" * 64)
    assert not (tmp_path / "b").exists() and sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a"]


def test_the_archives_are_scikit_learns() -> None:
    from sklearn.datasets import _lfw

    for name, theirs in (("lfw", _lfw.ARCHIVE), ("lfw-funneled", _lfw.FUNNELED_ARCHIVE)):
        assert (archives.ARCHIVES[name].url, archives.ARCHIVES[name].sha256) == (theirs.url, theirs.checksum)


@pytest.mark.real
def test_lfw_is_listed_as_it_is(shared: Path) -> None:
    source = open_source(shared / "data" / "lfw")
    assert (source.kind, len(source.pictures)) == ("folders", 13232)
    assert len({picture.identity for picture in source.pictures}) == 5748
    assert source.ignored == {}
