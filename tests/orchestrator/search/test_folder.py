"""The results folder, before anything is written to it; and what a sweep must go on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluators.networks.catalog.choice import Networks
from evaluators.networks.catalog.downloads import digest_of
from evaluators.options import first_difference
from orchestrator.search.checks import check_same_networks
from orchestrator.search.folder import check_earlier, check_same, choose_folder, results_folder
from orchestrator.search.settings import Settings


def test_nothing_is_written_before_all_is_checked(tmp_path: Path) -> None:
    out = tmp_path / "new" / "results"
    assert choose_folder(Settings(out=out), "demo") == out and not out.parent.exists()
    assert results_folder(Settings(out=out), "demo") == out and out.is_dir() and not any(out.iterdir())


def test_a_place_for_families_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--families: expected a folder that can be written, .*file.*another one"):
        results_folder(Settings(out=tmp_path / "results", families=tmp_path / "file"), "demo")


@pytest.mark.parametrize(
    ("name", "how", "sentence"),
    [
        ("file", {}, "--out: expected a folder, .*file is a file"),
        ("file/below", {}, "expected a folder that can be written, .*file is a file; name another one"),
        ("link", {}, "link is a link that leads to none"),
        ("others", {}, "expected an empty folder, .*others holds other files; name another one"),
        ("others", {"overwrite": True}, "expected a sweep in .*others, there are other files and none"),
        ("sweep", {}, "sweep holds results already; give --resume, --overwrite or another folder"),
        ("others", {"resume": True}, "--resume: expected .*ledger.arrow, which is not there"),
        ("x" * 300, {}, "File name too long"),
    ],
)
def test_a_folder_that_cannot_serve_is_refused(name: str, how: dict[str, bool], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder, file in (("others", "mine.txt"), ("sweep", "report.html")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=sentence):
        choose_folder(Settings(out=tmp_path / name, **how), "demo")  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_sweep_that_is_damaged_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--warm-start: expected a results folder with ledger\.arrow"):
        check_earlier(tmp_path)
    (tmp_path / "ledger.arrow").write_text("no ledger")
    with pytest.raises(ValueError, match="expected a ledger, found no whole schema of one in its 9 bytes"):
        check_earlier(tmp_path)


def test_the_first_thing_that_differs_is_said_in_words() -> None:
    assert first_difference({"a": [1, 2]}, {"a": [1, 2]}, "sweep") is None
    assert first_difference({"a": {"b": ["x", "y"]}}, {"a": {"b": []}}, "") == ("a b", "x, y", "none")
    assert first_difference("ab" * 32, None, "code") == ("code", "abababababab…", "none")
    with pytest.raises(ValueError, match="another --attacker: fixed, parrot, now fixed; start anew"):
        check_same({"options": {"--attacker": ["fixed", "parrot"]}}, {"options": {"--attacker": ["fixed"]}})


def test_another_networks_file_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    path = tmp_path / "identity" / "edgeface_xs.onnx"
    path.write_bytes(b"the weights of now")
    networks = Networks(models=tmp_path, embedder="edgeface_xs", teacher=None, held_out=None)
    check_same_networks({"models": {"embedder": {"name": "edgeface_xs", "sha256": digest_of(path)}}}, networks)
    before = {"models": {"embedder": {"name": "edgeface_xs", "sha256": "ab" * 32}}}
    with pytest.raises(ValueError, match=r"has another embedder network: edgeface_xs of SHA-256 abababababab…, now"):
        check_same_networks(before, networks)
