from __future__ import annotations

import errno
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anonymizers import ANONYMIZERS
from evaluators.metrics import METRICS
from orchestrator.records import files
from orchestrator.records.arrow.messages import read_stream, schema_of
from orchestrator.records.front import front_probability
from orchestrator.records.ledger import Ledger, read
from orchestrator.records.tables import objective_replicates, write_tables
from orchestrator.records.trials import flat, schema, trial_rows
from orchestrator.sweep.racing import Stop
from tests.helpers.sample_rows import OBJECTIVES, SWEEP, row, sample, scores
from tests.places import ROOT


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Assert that two rows are equal, scores included."""
    assert {k: v for k, v in a.items() if k != "scores"} == {k: v for k, v in b.items() if k != "scores"}
    assert (a["scores"] is None) == (b["scores"] is None)
    if a["scores"] is not None:
        for name in ("values", "intervals", "n_probe", "n_people", "chance_rank1", "seconds"):
            assert getattr(a["scores"], name) == getattr(b["scores"], name)
        assert list(a["scores"].replicates) == list(OBJECTIVES)  # of the others nothing needs them
        for name, draws in a["scores"].replicates.items():
            np.testing.assert_array_equal(draws, b["scores"].replicates[name].astype(np.float16))


def test_schema_has_the_columns_of_the_design() -> None:
    made = schema(SWEEP)
    assert made.names[:5] == ["trial", "status", "error", "method", "anonymizer"]
    assert made.names[-6:] == ["n_probe", "n_people", "n_gallery", "n_attacker", "chance_rank1", "seconds"]
    for method, anonymizer in ANONYMIZERS.items():
        for name in anonymizer.ranges():
            assert made.field(f"{method}.{name}").nullable
    for name, metric in METRICS.items():
        assert made.field(name).type == pa.float64()
        assert (f"{name}_lo" in made.names) == (f"{name}_hi" in made.names) == metric.interval
    assert made.field("blur.kernel").type == pa.int64()
    assert not [name for name in made.names if "replicates" in name]
    assert json.loads(made.metadata[b"sweep"]) == SWEEP
    with pytest.raises(ValueError):
        schema({"x": math.nan})


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.arrow"
    written = [row(0, "identity", {}, None), *sample()]
    with Ledger.create(path, SWEEP) as ledger:
        for one in written:
            ledger.append(one)
            assert len(read(path)) == len(ledger.rows())
        assert ledger.sweep == SWEEP
    with Ledger.open(path) as ledger:
        for a, b in zip(ledger.rows(), written, strict=True):
            same(a, b)
        assert trial_rows(ledger.table()) == ledger.trials()
        assert len(ledger.trials()) == len(written) - 1
    # Anybody's Arrow reads it, end marker or not.
    assert pa.ipc.open_stream(path.read_bytes()).read_all().num_rows == len(written)
    assert len(pl.read_ipc_stream(path)) == len(written)


def test_cut_at_every_byte(tmp_path: Path) -> None:
    path, cut_path = tmp_path / "ledger.arrow", tmp_path / "cut.arrow"
    sizes = []
    rows = [row(0, "identity", {}, "it failed"), row(1, "blur", {"kernel": 5}, scores(0.5, 0.5, replicates=1))]
    with Ledger.create(path, SWEEP) as ledger:
        sizes.append(path.stat().st_size)
        for one in rows:
            ledger.append(one)
            sizes.append(path.stat().st_size)
    data = path.read_bytes()
    for cut in range(len(data) + 1):
        near = min(abs(cut - size) for size in sizes) <= 40
        if not near and cut % 97:
            continue
        cut_path.write_bytes(data[:cut])
        if cut < sizes[0]:
            with pytest.raises(ValueError, match=r"cut\.arrow"):
                read(cut_path)
            continue
        whole = sum(cut >= size for size in sizes) - 1
        assert len(read(cut_path)) == whole
        if near or cut % 5 == 0:
            with Ledger.open(cut_path) as ledger:
                assert cut_path.stat().st_size == sizes[whole]
                for one in rows[whole:]:
                    ledger.append(one)
            assert cut_path.read_bytes() == data


def test_a_tail_of_zeros_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, SWEEP) as ledger:
        ledger.append(sample()[0])
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert len(read(path)) == 1
    with Ledger.open(path) as ledger:
        assert path.stat().st_size == size
        ledger.append(sample()[1])
    assert len(read(path)) == 2
    assert path.with_name(f"ledger.arrow.cut-{size}").read_bytes() == bytes(4096)


def refusal(look: Callable[[Path], object], path: Path) -> str:
    try:
        look(path)
    except ValueError as error:
        return str(error)
    return ""


def test_a_flipped_bit_is_found_wherever_it_is_and_costs_no_row(tmp_path: Path) -> None:
    """The file is refused as it is; only a last row that seems unfinished is put beside it."""
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, SWEEP) as ledger:
        begin = path.stat().st_size
        for one in sample(replicates=200)[:4]:
            last = path.stat().st_size
            ledger.append(one)
    data = path.read_bytes()
    chance, moved = random.Random(3), 0
    places = [*range(begin, begin + 16), *range(last, last + 16), *(chance.randrange(len(data)) for _ in range(150))]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        assert refusal(schema_of, path) == refusal(read_stream, path)  # who asks for facts alone is told as much
        try:
            Ledger.open(path).close()
        except ValueError as error:
            assert re.search(r"damaged at byte|expected a ledger|other methods", str(error)), error
            assert path.read_bytes() == flipped
        else:  # a length in the last row said that more should follow
            assert last <= place
            moved += 1
            assert path.stat().st_size == last
            aside = path.with_name(f"ledger.arrow.cut-{last}")
            assert path.read_bytes() + aside.read_bytes() == flipped
            aside.unlink()
    assert moved < 8


def test_a_ledger_of_the_first_version_is_read(tmp_path: Path) -> None:
    made = schema(SWEEP)
    draws = [pa.field(f"replicates.{name}", pa.list_(pa.float32())) for name in OBJECTIVES]
    first = pa.schema([*made, *draws], metadata=made.metadata)
    path = tmp_path / "ledger.arrow"
    message = first.serialize().to_pybytes()
    for one in sample()[:4]:
        columns = {name: [value] for name, value in flat(one).items() if name in first.names}
        arrays = [pa.array(columns.get(field.name, [None]), field.type) for field in first]
        message += pa.record_batch(arrays, schema=first).serialize().to_pybytes()
    path.write_bytes(message)
    rows = trial_rows(read(path))
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    front = write_tables(path, SWEEP, tmp_path)
    assert 0 < len(front) <= 4 and front[0]["front_probability"] > 0
    with pytest.raises(ValueError, match="other methods or metrics"):
        Ledger.open(path)


def test_no_locks_are_told_and_do_not_stop_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        ledger.append(sample()[0])
    assert "grants no locks" in caplog.text


def test_a_ledger_that_is_written_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, SWEEP) as ledger:
        ledger.append(sample()[0])
        with pytest.raises(ValueError, match="another process writes"):
            Ledger.create(path, SWEEP, replace=True)
        assert len(read(path)) == 1
    with Ledger.create(path, SWEEP, replace=True):
        assert len(read(path)) == 0


def test_damage_that_no_kill_leaves_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, SWEEP) as ledger:
        first = path.stat().st_size
        for one in sample()[:3]:
            ledger.append(one)
    data = bytearray(path.read_bytes())
    data[first : first + 8] = b"garbage!"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"damaged at byte {first}"):
        Ledger.open(path)
    assert path.read_bytes() == data
    path.write_bytes(b"not a ledger at all")
    with pytest.raises(ValueError, match="expected a ledger"):
        read(path)


WRITER = """
import sys
sys.path.insert(0, {root!r})
from tests.helpers.sample_rows import SWEEP, row, scores
from orchestrator.records.ledger import Ledger
ledger = Ledger.create({path!r}, SWEEP)
for trial in range(100_000):
    ledger.append(row(trial, "blur", {{"kernel": 5}}, scores(0.5, 0.5, replicates=2000)))
    print(trial, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_that_it_finished(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    code = WRITER.format(root=str(ROOT), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(5)]
        with pytest.raises(ValueError, match="another process"):
            Ledger.open(path)
        os.kill(writer.pid, signal.SIGKILL)
        said += [int(line) for line in writer.stdout.read().splitlines()]
    with Ledger.open(path) as ledger:
        rows = ledger.rows()
        assert said[-1] + 1 <= len(rows) <= said[-1] + 2
        assert [one["trial"] for one in rows] == list(range(len(rows)))
        ledger.append(row(len(rows), "identity", {}, "after the kill"))
    assert len(read(path)) == len(rows) + 1


def test_a_failed_write_leaves_no_torn_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.arrow"
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        real(descriptor, data[:100])
        raise OSError(28, "No space left on device")

    with Ledger.create(path, SWEEP) as ledger:
        ledger.append(sample()[0])
        with monkeypatch.context() as patch:
            patch.setattr("os.write", full)
            with pytest.raises(OSError, match="No space"):
                ledger.append(sample()[1])
        ledger.append(sample()[1])
        assert len(ledger.rows()) == 2


def refused() -> list[Any]:
    good = row(0, "blur", {"kernel": 5}, scores(0.5, 0.5))
    nan_scores = scores(0.5, 0.5)
    nan_scores.values["rank1_worst"] = math.nan  # type: ignore[index]
    inf_interval = scores(0.5, 0.5)
    inf_interval.intervals["rank1_worst"] = (0.1, math.inf)  # type: ignore[index]
    nan_draws = scores(0.5, 0.5)
    nan_draws.replicates["rank1_worst"][3] = np.nan
    failed = row(0, "blur", {"kernel": 5}, "wrong")
    return [
        pytest.param(good | {"seconds": math.nan}, "seconds is not finite", id="seconds"),
        pytest.param(good | {"scores": nan_scores}, "rank1_worst is not finite", id="value"),
        pytest.param(good | {"scores": inf_interval}, "rank1_worst_hi is not finite", id="interval"),
        pytest.param(good | {"scores": nan_draws}, r"replicates\.rank1_worst is not finite", id="replicate"),
        pytest.param(good | {"scores": replace(good["scores"], chance_rank1=math.inf)}, "chance_rank1", id="chance"),
        pytest.param(good | {"status": "done"}, "status", id="status"),
        pytest.param(good | {"status": "stopped"}, "why of a stopped trial", id="stopped for no reason"),
        pytest.param(good | {"scores": None}, "expected scores", id="no scores"),
        pytest.param(failed | {"error": None}, "expected an error", id="no error"),
        pytest.param(failed | {"scores": good["scores"]}, "no scores of a failed", id="failed with scores"),
        pytest.param(good | {"hyperparameters": {"kernel": 5.5}}, "blur.kernel = 5.5 does not fit", id="type"),
        pytest.param(good | {"hyperparameters": {"radius": 5}}, r"blur\.radius", id="column"),
    ]


@pytest.mark.parametrize(("bad", "words"), refused())
def test_what_is_not_a_measurement_is_refused(tmp_path: Path, bad: dict[str, Any], words: str) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        size = ledger.path.stat().st_size
        with pytest.raises(ValueError, match=words):
            ledger.append(bad)
        assert ledger.path.stat().st_size == size


def test_a_trial_is_asked_once_and_ends_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    asked, ended = row(3, "blur", {"kernel": 5}, None), row(3, "blur", {"kernel": 5}, "wrong")
    with Ledger.create(path, SWEEP) as ledger:
        ledger.append(asked)
        with pytest.raises(ValueError, match="already"):
            ledger.append(asked)
        ledger.append(ended)
    with Ledger.open(path) as ledger:
        for again in (asked, ended):
            with pytest.raises(ValueError, match="already"):
                ledger.append(again)
    with pytest.raises(ValueError, match="closed"):
        ledger.append(row(4, "blur", {"kernel": 5}, None))
    with pytest.raises(ValueError, match="found one"):
        Ledger.create(path, SWEEP)
    with pytest.raises(ValueError, match="no file"):
        Ledger.open(tmp_path / "absent.arrow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        ledger.append(row(0, "identity", {}, None))
        for one in reversed(sample()):
            ledger.append(one)
    write_tables(tmp_path / "ledger.arrow", SWEEP, tmp_path)
    return tmp_path


def test_tables_open_elsewhere(folder: Path) -> None:
    trials, front = folder / "trials.parquet", folder / "front.parquet"
    n = len(sample())
    frame = pd.read_parquet(trials)
    assert frame["trial"].tolist() == list(range(n))
    assert frame["status"].value_counts().to_dict() == {"complete": n - 1, "failed": 1}
    every = schema(SWEEP).names
    assert [name for name in every if name in frame.columns] == list(frame.columns)[:-1]
    assert list(frame.columns)[-1] == "front_probability"
    # What nothing here measured stays out; what was measured does not.
    assert not frame.drop(columns=["error"]).isna().all().any()
    assert {"rank1_worst", "rank1_worst_lo", "blur.kernel", "n_gallery"} <= set(frame.columns)
    assert not {"tar_at_far_1e4", "k_same.k"} & set(frame.columns)
    assert json.loads(pq.read_schema(trials).metadata[b"sweep"])["version"] == 5
    polars = pl.read_parquet(trials)
    assert polars["pixelate.block"].drop_nulls().to_list() == [4, 8, 16, 24, 12]
    assert polars["rank1_worst"].null_count() == 1
    (kappa,) = duckdb.sql(
        f"""select "expression_kappa_adapted" from '{trials}' where method = 'blur' and "blur.kernel" = 5"""
    ).fetchall()[0]
    assert kappa == pytest.approx(0.8)
    assert duckdb.sql(f"select count(front_probability) from '{front}'").fetchall()[0][0] == len(pl.read_parquet(front))
    assert json.loads(pq.read_schema(front).metadata[b"sweep"])["objectives"] == OBJECTIVES
    assert sorted(p.name for p in folder.iterdir()) == ["front.parquet", "ledger.arrow", "trials.parquet"]


def test_front_table(folder: Path) -> None:
    front = pq.read_table(folder / "front.parquet").to_pylist()
    assert write_tables(read(folder / "ledger.arrow"), SWEEP, folder) == front
    assert front[0]["method"] == "blackout"
    privacy = [one["rank1_worst"] for one in front]
    assert privacy == sorted(privacy)
    complete = [one for one in sample() if one["status"] == "complete"]
    draws = np.array([[one["scores"].replicates[name] for name in OBJECTIVES] for one in complete]).astype(np.float16)
    expected = dict(
        zip([one["trial"] for one in complete], front_probability(draws, list(OBJECTIVES.values())), strict=True)
    )
    for one in front:
        assert one["front_probability"] == expected[one["trial"]]
    assert any(0 < one["front_probability"] < 1 for one in front)
    every = pq.read_table(folder / "trials.parquet").to_pylist()
    assert {one["trial"]: one["front_probability"] for one in every if one["status"] == "complete"} == expected
    assert all(one["front_probability"] is None for one in every if one["status"] != "complete")


def test_tables_of_a_sweep_in_which_everything_failed(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        ledger.append(row(0, "identity", {}, "wrong"))
        assert write_tables(ledger.table(), SWEEP, tmp_path / "tables") == []
    trials, front = tmp_path / "tables" / "trials.parquet", tmp_path / "tables" / "front.parquet"
    assert pq.read_table(trials).num_rows == 1
    assert pq.read_table(front).num_rows == 0
    assert "front_probability" in pq.read_schema(front).names


def test_objective_without_replicates_stands_at_its_value(tmp_path: Path) -> None:
    some = scores(0.5, 0.4)
    one = row(0, "identity", {}, replace(some, replicates={"rank1_worst": some.replicates["rank1_worst"]}))
    with Ledger.create(tmp_path / "ledger.arrow", SWEEP) as ledger:
        ledger.append(one)
        table = ledger.table()
        draws = objective_replicates(table, OBJECTIVES)
        assert draws.shape == (1, 2, 50)
        np.testing.assert_allclose(draws[0, 0], some.replicates["rank1_worst"], rtol=1e-3)
        assert (draws[0, 1] == np.float32(0.4)).all()
        ledger.append(row(1, "blur", {"kernel": 5}, scores(0.5, 0.4, replicates=7)))
        with pytest.raises(ValueError, match="as many replicates"):
            objective_replicates(ledger.table(), OBJECTIVES)


def test_a_stopped_trial_comes_back_as_it_was(tmp_path: Path) -> None:
    so_far = replace(scores(0.5, 0.4), stage="gallery")
    stopped = row(3, "blur", {"kernel": 5}, so_far) | {
        "status": "stopped",
        "stopped": Stop("gallery", (1,), 1.0).text(),
    }
    audited = row(4, "blur", {"kernel": 7}, scores(0.6, 0.3)) | {"stopped": Stop("readers", (1,), 1.0).text()}
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, SWEEP) as ledger:
        for one in (*sample(), stopped | {"trial": 20}, audited | {"trial": 21}):
            ledger.append(one)
        back = {one["trial"]: one for one in ledger.rows()}
        front = write_tables(ledger.table(), SWEEP, tmp_path)
    assert back[20]["status"] == "stopped" and back[20]["stopped"] == stopped["stopped"]
    assert back[20]["scores"].stage == "gallery" and back[20]["scores"].values == so_far.values
    assert back[21]["scores"].stage == "" and back[21]["stopped"] == audited["stopped"]
    assert "stopped" not in back[0] and back[20]["hyperparameters"] == {"kernel": 5}
    trials = {one["trial"]: one for one in pq.read_table(tmp_path / "trials.parquet").to_pylist()}
    assert trials[20]["stopped"] == stopped["stopped"] and trials[0]["stopped"] is None
    assert trials[20]["front_probability"] is None and trials[21]["front_probability"] is not None
    assert 20 not in [one["trial"] for one in front]
