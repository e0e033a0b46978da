"""Copies of results at places that are no local folder."""

from __future__ import annotations

import logging
from pathlib import Path

import fsspec
import pytest

from orchestrator.records import copies
from orchestrator.records.copies import Copies, copied, copy_in, copy_out, place_of
from orchestrator.records.ledger import Ledger, read
from orchestrator.sweep.inprocess import InProcess
from tests.helpers.fake_panel import OBJECTIVES, FakePanel
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
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger, copied(Copies(tmp_path / "a", uri)):
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

    class TokenError(Exception):
        """What a client of some store raises, which is no OSError."""

    def fail(folder: Path, uri: str) -> None:
        calls.append(1)
        raise TokenError("no route to the bucket")

    monkeypatch.setattr(copies, "copy_out", fail)
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match=r"no route.*the results are in"):  # noqa: SIM117
        with copied(Copies(tmp_path / "a", "memory://x")):
            while len(calls) < 3:
                pass
    assert "no route to the bucket" in caplog.records[0].reason  # type: ignore[attr-defined]


def folder_with(path: Path, trials: int) -> Path:
    path.mkdir()
    with Ledger.create(path / "ledger.arrow", {"objectives": OBJECTIVES, "name": path.name}) as ledger:
        InProcess(FakePanel).run(sweep_of(ledger, trials=trials))
    return path


def test_a_copy_of_another_sweep_is_not_replaced(uri: str, tmp_path: Path) -> None:
    first, other = folder_with(tmp_path / "first", 5), folder_with(tmp_path / "other", 2)
    copy_out(first, uri)
    with pytest.raises(ValueError, match="holds the copy of a sweep; give --resume"):
        Copies(other, uri).claim()
    with pytest.raises(ValueError, match="or of an earlier state of it, found another one"):
        Copies(other, uri).claim(resume=True)
    copy_in(uri, tmp_path / "back")
    assert (tmp_path / "back" / "ledger.arrow").read_bytes() == (first / "ledger.arrow").read_bytes()
    Copies(first, uri).claim(resume=True)
    # The folder is behind its copy, as one that was lost and made anew: the copy is worth more.
    with (first / "ledger.arrow").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 1000)
    with pytest.raises(ValueError, match="found another one"):
        Copies(first, uri).claim(resume=True)
    Copies(other, uri).claim(overwrite=True)
    with pytest.raises(ValueError, match="found nothing"):
        copy_in(uri, tmp_path / "none")


def test_a_place_to_which_a_run_copies_now_is_refused(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folder_with(tmp_path / "first", 2)
    monkeypatch.setattr("platform.node", lambda: "another machine")
    running = Copies(first, uri)
    running.claim()
    running.copy()
    monkeypatch.undo()
    for how in ({"overwrite": True}, {"resume": True}, {}):
        with pytest.raises(ValueError, match=r"another run copies there, last .* from another machine"):
            Copies(first, uri).claim(**how)
    running.copy("over")
    later = Copies(first, uri)
    later.claim(resume=True)
    with pytest.raises(OSError, match="this one stops"):
        running.copy()


def test_where_there_is_no_rename_a_whole_copy_lies_there_at_every_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").store.clear()
    before, after = folder_with(tmp_path / "before", 2), folder_with(tmp_path / "after", 5)
    (tmp_path / "after" / "ledger.arrow").replace(tmp_path / "longer")
    copy_out(before, "memory://torn/x")
    system, path = place_of("memory://torn/x")
    longer = (tmp_path / "longer").read_bytes()
    # What is left where the connection ends while the new ledger is written beside, or over the old one.
    for beside, over in ((longer[:3000], None), (longer, longer[:3000]), (longer, longer)):
        for name, data in ((".ledger.arrow.new", beside), ("ledger.arrow", over)):
            if data is not None:
                with system.open_output_stream(f"{path}/{name}") as stream:
                    stream.write(data)
        copy_in("memory://torn/x", tmp_path / "back")
        found = (tmp_path / "back" / "ledger.arrow").read_bytes()
        assert found == ((before / "ledger.arrow").read_bytes() if over is None else longer)
    assert not list(after.iterdir())


def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a place that can be"):
        Copies(tmp_path, "file:///proc/nowhere").claim()


@pytest.mark.parametrize("uri", ["nonsense://bucket/x", "no uri at all"])
def test_a_place_that_nobody_knows_is_refused(uri: str, tmp_path: Path) -> None:
    if "//" in uri:
        with pytest.raises(ValueError, match="expected a URI that Arrow or fsspec can write to"):
            place_of(uri)
    else:
        with pytest.raises(ValueError, match="found nothing"):
            copy_in(f"file://{tmp_path}/none", tmp_path / "b")
