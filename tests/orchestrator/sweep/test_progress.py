from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from anonymizers import Blur, Pixelate
from orchestrator.records.ledger import Ledger
from orchestrator.records.tables import write_tables
from orchestrator.records.wording import name_of
from orchestrator.sweep.ending import front_line, front_table, next_steps
from orchestrator.sweep.progress import LiveProgress, PlainProgress, Progress, make_progress
from tests.helpers.sample_rows import OBJECTIVES, SWEEP, sample

AS_IT_STANDS: dict[str, Any] = {
    "running": 1,
    "failures": 1,
    "front_size": 3,
    "hypervolume": 0.4321,
    "faces_per_second": 57.0,
}


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
    for words in ("13/13 trials", "1 failures", "0.432 hypervolume", "57 faces/s", "3 on the front", "elapsed", "left"):
        assert words in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_the_terminal_comes_back_after_an_error() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=30, _environ={"TERM": "xterm-256color"})
    with pytest.raises(KeyboardInterrupt), make_progress(console) as progress:
        progress.start(SWEEP, 3)
        raise KeyboardInterrupt
    assert out.getvalue().rstrip().count("\x1b[?25h") == 1


def test_the_live_panel_says_what_runs_and_what_is_best_and_leaves_the_list() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, height=30, _environ={"TERM": "xterm-256color"})
    progress = make_progress(console)
    assert isinstance(progress, LiveProgress)
    rows = sample()
    with progress:
        progress.start(SWEEP, len(rows))
        progress.trial_starts(rows[2]["trial"], Blur(kernel=5))
        progress.trial_starts(77, Pixelate(16))
        console.print(progress._panel())
        before = out.getvalue()
        for done, one in enumerate(rows, 1):
            progress.trial_done(one, done=done, total=len(rows), **AS_IT_STANDS)
        console.print(progress._panel())
    assert "2 running" in before and "running: trial 77, Pixelate(block=16" in before
    after = out.getvalue()[len(before) :]
    assert "1 running" in after and "running: trial 77" in after
    assert "best rank1_worst so far: " in after and "by identity" not in after and "by blackout" not in after
    assert all(f"[{done:>2}/{len(rows)}]" in after for done in range(1, len(rows) + 1))


@pytest.fixture
def front(tmp_path: Path) -> list[dict[str, Any]]:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        for one in sample():
            ledger.append(one)
        return write_tables(ledger.table(), SWEEP, tmp_path)


@pytest.mark.parametrize("objectives", [OBJECTIVES, {**OBJECTIVES, "st_lpips": "min"}], ids=["two", "three"])
@pytest.mark.parametrize("width", [80, 120, 140])
def test_the_front_is_shown_whole_at_every_width(
    front: list[dict[str, Any]], objectives: dict[str, str], width: int
) -> None:
    table = front_table(front, objectives, width)
    assert table.row_count == len(front)
    heads = [str(column.header).replace("\n", "") for column in table.columns]
    assert heads[:3] == ["trial", "configuration", "rank1_worst(min)"]
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in front:
        assert f"{row['rank1_worst']:.3f}" in text
        assert all(part in text for part in name_of(row).split())
        assert f"[{row['rank1_worst_lo']:.3f}, {row['rank1_worst_hi']:.3f}]" in text
    assert ("strongestattacker" in heads) == (len(objectives) == 2 or width > 80)


def test_an_empty_front_is_said() -> None:
    assert front_line([], [{"method": "blur"}] * 3, {"name": "demo"}) == "No front: none of 3 trials is complete."
    assert front_table([], OBJECTIVES, 80).row_count == 0


def test_the_end_names_people_and_what_to_do_next(front: list[dict[str, Any]]) -> None:
    line = front_line(front, front, {"name": "demo"})
    assert f"{len(front) - 2} of {len(front) - 2} configurations" in line
    assert f"{front[0]['n_people']} people, {front[0]['n_probe']} probes" in line
    report, *others = next_steps(Path("a b"), front)
    assert any(span.style.link == (Path("a b") / "report.html").resolve().as_uri() for span in report.spans)  # type: ignore[union-attr]
    assert any("orchestrator.verify 'a b'" in line.plain for line in others)
    assert any("orchestrator.compare 'a b' " in line.plain for line in others)
