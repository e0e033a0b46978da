"""Copies of results at places that are no local folder."""

from __future__ import annotations

import logging
from pathlib import Path

import fsspec
import pytest

from orchestrator.records import copies
from orchestrator.records.copies import copied, copy_in, copy_out, place_of
from orchestrator.records.ledger import Ledger, read
from tests.helpers.fake_panel import OBJECTIVES
from tests.helpers.sweeps import ended, sweep_of


@pytest.fixture(params=["memory", "file"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    fsspec.filesystem("memory").store.clear()
    return f"memory://bucket/{tmp_path.name}" if request.param == "memory" else f"file://{tmp_path}/elsewhere/sweep"


def test_a_folder_comes_back_as_it_went(uri: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "ledger.arrow").write_bytes(b"\x00\x01" * 1000)
    (tmp_path / "a" / ".half.new").write_bytes(b"not yet")
    copy_out(tmp_path / "a", uri)
    (tmp_path / "a" / "ledger.arrow").write_bytes(b"\x02" * 10)
    copy_out(tmp_path / "a", uri)
    copy_in(uri, tmp_path / "b")
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()} == {"ledger.arrow": b"\x02" * 10}


def test_a_sweep_goes_on_from_its_copy(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "EVERY", 0.01)
    path = tmp_path / "a" / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger, copied(tmp_path / "a", uri):
        sweep = sweep_of(ledger, trials=3)
        sweep.propose()
        before = ended(ledger)
    copy_in(uri, tmp_path / "b")
    with Ledger.open(tmp_path / "b" / "ledger.arrow") as ledger:
        assert ended(ledger) == before and ledger.table().equals(read(path))


def test_a_copy_that_fails_in_the_midst_is_told_and_at_the_end_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copies, "EVERY", 0.01)
    (tmp_path / "a").mkdir()
    calls: list[int] = []

    def fail(folder: Path, uri: str) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("no route to the bucket")

    monkeypatch.setattr(copies, "copy_out", fail)
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="no route"):  # noqa: SIM117
        with copied(tmp_path / "a", "memory://x"):
            while len(calls) < 3:
                pass
    assert caplog.records[0].reason == "no route to the bucket"  # type: ignore[attr-defined]


@pytest.mark.parametrize("uri", ["nonsense://bucket/x", "no uri at all"])
def test_a_place_that_nobody_knows_is_refused(uri: str, tmp_path: Path) -> None:
    if "//" in uri:
        with pytest.raises(ValueError, match="expected a URI that Arrow or fsspec can write to"):
            place_of(uri)
    else:
        with pytest.raises(ValueError, match="found nothing"):
            copy_in(f"file://{tmp_path}/none", tmp_path / "b")
