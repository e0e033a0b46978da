from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from orchestrator.records.ledger import Ledger
from orchestrator.records.tables import write_tables
from orchestrator.sweep.progress import LiveProgress, PlainProgress, Progress, front_table, make_progress
from tests.helpers.sample_rows import OBJECTIVES, SWEEP, sample


def follow(progress: Progress, rows: list[dict[str, Any]]) -> None:
    with progress:
        progress.start(SWEEP, len(rows))
        for done, one in enumerate(rows, 1):
            progress.trial_done(
                one,
                done=done,
                total=len(rows),
                running=1,
                failures=int(one["status"] == "failed"),
                front_size=3,
                hypervolume=0.4321,
                faces_per_second=57.0,
            )
        progress.finish()
        progress.finish()


def test_plain_lines() -> None:
    out = io.StringIO()
    progress = make_progress(Console(file=out))
    assert isinstance(progress, PlainProgress)
    follow(progress, sample())
    lines = out.getvalue().splitlines()
    assert len(lines) == 14
    assert lines[3] == (
        "[ 3/13] blur kernel=5  rank1_worst 0.970 [0.920, 1.020]  expression_kappa_adapted 0.800 [0.750, 0.850]  2.1 s"
    )
    assert lines[13] == "[13/13] pixelate block=12  failed: RuntimeError: <script>alert(1)</script> & more  2.1 s"
    assert "\x1b" not in out.getvalue()


def test_an_error_of_many_lines_and_markup_is_one_line() -> None:
    out = io.StringIO()
    failed = {**sample()[-1], "error": "ValueError: [bold]a[/bold]\n  b [/nothing]"}
    follow(make_progress(Console(file=out)), [failed])
    assert out.getvalue().splitlines()[1].endswith("failed: ValueError: [bold]a[/bold] b [/nothing]  2.1 s")


def test_live_panel() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=30, _environ={"TERM": "xterm-256color"})
    progress = make_progress(console)
    assert isinstance(progress, LiveProgress)
    follow(progress, sample())
    console.print(progress._panel())
    text = out.getvalue()
    for words in ("13/13 trials", "1 failures", "0.432 hypervolume", "57 faces/s", "3 front", "elapsed", "left"):
        assert words in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_the_terminal_comes_back_after_an_error() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=30, _environ={"TERM": "xterm-256color"})
    with pytest.raises(KeyboardInterrupt), make_progress(console) as progress:
        progress.start(SWEEP, 3)
        raise KeyboardInterrupt
    assert out.getvalue().rstrip().count("\x1b[?25h") == 1


def test_front_table(tmp_path: Any) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        for one in sample():
            ledger.append(one)
        front = write_tables(ledger.table(), SWEEP, tmp_path)
    table = front_table(front, OBJECTIVES)
    assert table.row_count == len(front)
    heads = [str(column.header) for column in table.columns]
    assert heads[:3] == ["configuration", "rank1_worst (min)", "expression_kappa_adapted (max)"]
    assert heads[-1] == "front_probability"
    assert {"rank1_fixed", "rank1_parrot", "rank1_retrained", "st_lpips"} <= set(heads)
    out = io.StringIO()
    Console(file=out, width=240).print(table)
    assert "blackout" in out.getvalue()
    assert "[0.920, 1.020]" in out.getvalue()
    assert front_table([], OBJECTIVES).row_count == 0
