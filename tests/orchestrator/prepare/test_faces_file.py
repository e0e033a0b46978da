"""The file of a prepared set: mapped into memory, read by others, whole or absent."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from evaluators.datasets.alignment import TEMPLATE, align
from evaluators.datasets.cropping import align_context
from orchestrator.prepare.faces_file import read_prepared, write_faces
from orchestrator.prepare.preparation import prepare
from tests.helpers.prepared_sets import MODELS, quiet, settings
from tests.places import ROOT

# The file.


def test_one_file_maps_into_memory_without_a_copy(tree: Path, tmp_path: Path, whole: None) -> None:
    out = tmp_path / "faces"
    assert prepare(settings(tree, out), MODELS, quiet()) == out
    assert sorted(path.name for path in out.iterdir()) == ["faces.arrow", "rejected.parquet"]
    prepared = read_prepared(out)
    again = read_prepared(out)
    faces = prepared.faces
    assert faces.images.shape == (40, 3, 112, 112) and prepared.context.shape == (40, 3, 192, 192)
    assert faces.key == tuple(f"p{p}/{i}.png" for p in range(8) for i in range(5))
    assert prepared.people == tuple(f"p{p}" for p in range(8)) and prepared.expressions is None
    assert faces.identity.tolist() == [p for p in range(8) for _ in range(5)]
    assert faces.expression.tolist() == [-1] * 40
    for i, key in enumerate(faces.key):
        upright = np.asarray(Image.open(tree / key))
        assert np.array_equal(faces.images[i].permute(1, 2, 0), align(upright, np.float32(TEMPLATE)))
        assert np.array_equal(prepared.context[i].permute(1, 2, 0), align_context(upright, np.float32(TEMPLATE)))
    assert np.allclose(prepared.landmarks, TEMPLATE, atol=1e-4)
    # All are views of one mapping; writing reaches neither the file nor another reader.
    spread = [t.data_ptr() for t in (faces.images, prepared.context, faces.identity, prepared.landmarks)]
    assert max(spread) - min(spread) < (out / "faces.arrow").stat().st_size
    faces.images.zero_()
    assert again.faces.images.float().mean() > 50 and read_prepared(out).faces.images.float().mean() > 50


def test_others_read_the_file_with_arrow_alone(tree: Path, tmp_path: Path, whole: None) -> None:
    prepare(settings(tree, tmp_path / "faces"), MODELS, quiet())
    with pa.memory_map(str(tmp_path / "faces" / "faces.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        rows = table.select(["key", "digest", "score", "faces", "identity"]).to_pylist()
        facts = json.loads(table.schema.metadata[b"prepared"])
        assert table.schema.field("image").type.shape == [3, 112, 112]
        assert table.schema.field("landmarks").type.shape == [5, 2]
        assert table.num_rows == 40 and all(len(column.chunks) == 1 for column in table.columns)
        assert not any(field.nullable for field in table.schema)
    for row in rows:
        assert row["digest"] == hashlib.sha256((tree / row["key"]).read_bytes()).hexdigest()
        assert (row["score"], row["faces"]) == (0.75, 1)
    assert facts["plan"]["source"]["pictures"] == facts["n_faces"] == 40
    assert (facts["context_margin_px"], facts["people"][:2]) == (40, ["p0", "p1"])


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    program = f"""
import resource, sys
import numpy as np
from pathlib import Path
from orchestrator.prepare.faces_file import read_prepared, write_faces
n, path = 1500, Path({str(tmp_path)!r})
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
piece = {{"image": np.ones((50, 3, 112, 112), np.uint8), "context": np.full((50, 3, 192, 192), 2, np.uint8)}}
def write(n, most):
    columns = {{"key": [str(i) for i in range(n)], "identity": np.zeros(n, np.int64),
        "expression": np.zeros(n, np.int64), "landmarks": np.zeros((n, 5, 2), np.float32),
        "score": np.zeros(n, np.float32), "faces": np.ones(n, np.int32), "digest": ["0"] * n}}
    pixels = ((at, piece) for at in range(0, n, 50) if not most.append(anonymous()))
    facts = {{"people": ["a"], "expressions": ["happy"], "name": "n"}}
    write_faces(path / "faces.arrow", columns, pixels, 112, facts)
    prepared = read_prepared(path)
    assert int(prepared.faces.images[::100].sum()) == -(-n // 100) * 3 * 112 * 112
    assert int(prepared.context[-1].min()) == 2
write(50, [])  # Arrow imports pandas at its first array
before, most = anonymous(), []
write(n, most)
most.append(anonymous())
print(max(most) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000  # kB; the pixels are 222,000
    assert (tmp_path / "faces.arrow").stat().st_size > 1500 * 3 * (112**2 + 192**2)


def test_a_file_that_is_no_prepared_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a prepared set, .*faces.arrow: .*; prepare it anew"):
        read_prepared(tmp_path)
    (tmp_path / "faces.arrow").write_bytes(b"torn")
    with pytest.raises(ValueError, match="expected a prepared set"):
        read_prepared(tmp_path)
    with pa.ipc.new_file(str(tmp_path / "faces.arrow"), pa.schema([])) as writer:
        writer.write_batch(pa.record_batch([], schema=pa.schema([])))
    with pytest.raises(ValueError, match="lacks the metadata of a prepared set"):
        read_prepared(tmp_path)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    columns = {"key": ["a"], "identity": [0], "expression": [-1], "landmarks": np.zeros((1, 5, 2), np.float32)}
    columns |= {"score": [1.0], "faces": [1], "digest": ["0"]}

    def pixels() -> object:
        raise OSError("disk full")
        yield

    with pytest.raises(OSError, match="disk full"):
        write_faces(tmp_path / "faces.arrow", columns, pixels(), 112, {})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
