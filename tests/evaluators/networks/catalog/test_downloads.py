"""Downloads from a loopback server: whole and right, or an error and nothing."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluators.networks.catalog import downloads
from evaluators.networks.catalog.downloads import digest_of, download
from tests.helpers.loopback import Served, loopback

BODY = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def served() -> Iterator[Served]:
    with loopback() as served:
        served.files["/net.onnx"] = BODY
        yield served


def test_a_file_comes_whole_with_progress_and_is_not_fetched_again(served: Served, tmp_path: Path) -> None:
    path, seen = tmp_path / "deep" / "net.onnx", []
    download(f"{served.url}/net.onnx", path, DIGEST, lambda *at: seen.append(at))
    assert path.read_bytes() == BODY and digest_of(path) == DIGEST
    assert seen == sorted(seen) and seen[-1] == (len(BODY), len(BODY)) and len(seen) > 1
    assert [file.name for file in path.parent.iterdir()] == ["net.onnx"]
    download(f"{served.url}/net.onnx", path, DIGEST)
    assert served.asked == ["/net.onnx"]


def test_without_a_length_the_checksum_decides(served: Served, tmp_path: Path) -> None:
    served.unmeasured.add("/net.onnx")
    seen: list[tuple[int, int | None]] = []
    download(f"{served.url}/net.onnx", tmp_path / "net.onnx", DIGEST, lambda *at: seen.append(at))
    assert seen[-1] == (len(BODY), None)
    served.cut.add("/net.onnx")
    with pytest.raises(ValueError, match=rf"expected a file with SHA-256 {DIGEST}, got .* \({len(BODY) // 2} bytes\)"):
        download(f"{served.url}/net.onnx", tmp_path / "other", DIGEST)
    assert not (tmp_path / "other").exists()


def test_another_file_is_replaced_only_by_the_right_one(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=rf"net\.onnx: expected a file with SHA-256 {'0' * 64}, got {DIGEST}"):
        download(f"{served.url}/net.onnx", path, "0" * 64)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    download(f"{served.url}/net.onnx", path, DIGEST)
    assert path.read_bytes() == BODY


def test_a_connection_that_is_cut_leaves_nothing(served: Served, tmp_path: Path) -> None:
    served.cut.add("/net.onnx")
    with pytest.raises(ValueError, match=rf"net\.onnx: (expected {len(BODY)} bytes, got {len(BODY) // 2}|cannot)"):
        download(f"{served.url}/net.onnx", tmp_path / "net.onnx", DIGEST)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_and_an_unreachable_server_are_named(served: Served, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.onnx: expected the file, the server answers 404"):
        download(f"{served.url}/nothing.onnx", tmp_path / "net.onnx", DIGEST)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ValueError, match=r"cannot be downloaded: .*is there a network\?"):
        download(f"http://127.0.0.1:{port}/net.onnx", tmp_path / "net.onnx", DIGEST)
    assert not list(tmp_path.iterdir())


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/net.onnx"
        with pytest.raises(ValueError, match=r"cannot be downloaded: .*timed out"):
            download(url, tmp_path / "net.onnx", DIGEST)
    assert not list(tmp_path.iterdir())
