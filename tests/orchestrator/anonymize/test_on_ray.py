"""On Ray the same files come out as on one machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from orchestrator.anonymize.__main__ import app


@pytest.mark.ray
@pytest.mark.real
@pytest.mark.slow
def test_a_cluster_releases_what_one_machine_does(shared: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for number, path in enumerate(sorted((shared / "data" / "london" / "neutral_front").iterdir())[:5]):
        (source / f"森 {number}").mkdir(parents=True)
        shutil.copyfile(path, source / f"森 {number}" / path.name)
    (source / "broken.png").write_text("no picture")
    command = [str(source), "--method", "pixelate", "--set", "block=16", "--models", str(shared / "models")]
    for out, more in (("one", ["--processes", "1"]), ("ray", ["--address", "local"])):
        said = CliRunner().invoke(app, [*command[:1], str(tmp_path / out), *command[1:], *more])
        assert said.exit_code == 0, said.output
    one, other = (
        {p.relative_to(tmp_path / out): p.read_bytes() for p in (tmp_path / out).rglob("*.jpg")}
        for out in ("one", "ray")
    )
    assert len(one) == 5 and one == other
    tables = [pq.read_table(tmp_path / out / "manifest.parquet").to_pylist() for out in ("one", "ray")]
    assert tables[0] == tables[1] and {row["status"] for row in tables[0]} == {"anonymized", "unreadable"}


def test_an_address_where_nothing_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from tests.helpers.drawn_faces import picture, use_drawn_finder

    use_drawn_finder(monkeypatch)
    monkeypatch.setattr("orchestrator.cluster.environment.ANSWER", 0.5)
    Image.fromarray(picture(300, 240, [(150, 120, 80)])).save(tmp_path / "a.png")
    words = [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--method", "blackout", "--models", "."]
    said = CliRunner().invoke(app, [*words, "--address", "127.0.0.1:9"])
    assert said.exit_code == 2 and "--address" in said.output
    assert not (tmp_path / "b.png").exists()
