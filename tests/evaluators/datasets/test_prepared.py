"""Prepared sets as protocols: repeats, labels, the same faces as a folder's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluators.datasets.duplicates import fingerprints, repeats
from evaluators.datasets.folder import folder_protocol
from evaluators.datasets.prepared import protocol_of
from orchestrator.prepare.faces_file import read_prepared
from orchestrator.prepare.preparation import prepare
from tests.helpers.prepared_sets import MODELS, Whole, draw, quiet, settings


def test_repeats_are_found_under_one_name_and_two() -> None:
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(1500, 3, 16, 16, generator=generator) * 255).byte()
    images[1200], images[1300], images[7] = images[3], images[3], images[6]
    images[20:23] = 0  # one color: alike, but no photograph
    identity = torch.arange(1500)
    identity[1300], identity[7] = 3, 6
    twin, other, same = repeats(fingerprints(images), identity)
    found = {
        name: {int(i): int(t[i]) for i in torch.nonzero(t >= 0)} for name, t in (("t", twin), ("o", other), ("s", same))
    }
    assert found == {"t": {3: 1200, 1200: 3, 1300: 1200}, "o": {1200: 3, 1300: 1200}, "s": {7: 6, 1300: 3}}
    assert all(len(found) == 0 for found in repeats(torch.empty(0, 256), torch.empty(0, dtype=torch.int64)))


# What it is for.


def test_the_protocol_is_the_folders(tree: Path, tmp_path: Path, whole: None) -> None:
    prepare(settings(tree, tmp_path / "faces"), MODELS, quiet())
    prepared = read_prepared(tmp_path / "faces")
    for options in ({}, {"attacker_faces": 3, "background_faces": 1}, {"min_pictures": 5, "max_pictures": 4}):
        if options.get("min_pictures"):
            for path in (tree / "p7").iterdir():
                path.unlink()
            draw(tree / "p7" / "0.png", 70)
            prepare(settings(tree, tmp_path / "faces", overwrite=True), MODELS, quiet())
            prepared = read_prepared(tmp_path / "faces")
        mine = protocol_of(prepared, seed=1, **options)  # type: ignore[arg-type]
        theirs = folder_protocol(tree, Whole(), seed=1, **options)  # type: ignore[arg-type]
        assert mine.digest == theirs.digest and mine.name == "set"
    assert mine.facts["source"] == "prepared set: 36 faces of 8 people"
    with pytest.raises(ValueError, match=r"with 6 pictures or more, got 0 of 8"):
        protocol_of(prepared, min_pictures=6)


def test_labels_reach_the_protocol(tree: Path, tmp_path: Path, whole: None) -> None:
    names = ("sad", "happy", "")
    lines = [f"p{p}/{i}.png,p{p},{names[i % 3]}" for p in range(8) for i in range(5)]
    (tree / "list.csv").write_text("path,identity,expression\n" + "\n".join(lines) + "\n")
    prepare(settings(tree / "list.csv", tmp_path / "faces"), MODELS, quiet())
    protocol = protocol_of(read_prepared(tmp_path / "faces"))
    assert protocol.expressions == ("happy", "sad")
    for key, label in zip(protocol.probe.key, protocol.probe.expression.tolist(), strict=True):
        assert label == (1, 0, -1)[int(key[-5]) % 3]
