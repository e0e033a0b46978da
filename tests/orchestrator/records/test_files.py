"""Files that are whole or absent, and places that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.records.files import check_writable, replace_file


def test_a_file_that_could_not_be_written_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("before")

    def full(new: Path) -> None:
        new.write_text("hal")
        raise OSError(28, "Error writing bytes to file")  # as Arrow says it

    with pytest.raises(OSError, match=r"table.parquet: expected to write it, got: No space left on device; make room"):
        replace_file(path, full)
    assert [p.name for p in tmp_path.iterdir()] == ["table.parquet"] and path.read_text() == "before"


def test_a_place_is_tried_and_named_as_its_option(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b", "--out")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"RESULTS: expected a folder that can be written, .*file/x: Not a directory"):
        check_writable(tmp_path / "file" / "x", "RESULTS")
