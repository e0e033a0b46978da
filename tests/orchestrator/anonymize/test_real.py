"""Real faces through files: what is released is not the clear face, and is what was measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from anonymizers import Anonymizer, Blur, Context, Faces
from evaluators.datasets.alignment import align
from evaluators.datasets.folder import folder_protocol
from evaluators.datasets.sources.pictures import read_picture
from evaluators.networks.catalog.choice import Networks
from evaluators.networks.detection import main_face
from evaluators.networks.loaders import load_detector, load_embedder
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from orchestrator.anonymize.__main__ import app

pytestmark = [pytest.mark.real, pytest.mark.slow]

CROPS: dict[str, Tensor] = {}


@dataclass(frozen=True)
class FromFiles(Anonymizer):
    """Return the faces as they are in the released files, where they lay in the clear ones."""

    method: ClassVar[str] = "from_files"

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        return torch.stack([CROPS[key] for key in faces.key])


def people(shared: Path, folder: Path, *, several: int, pictures: int) -> Path:
    """Copy so many people of LFW with so many pictures each."""
    every = sorted(p for p in (shared / "data" / "lfw").iterdir() if p.is_dir() and len(list(p.iterdir())) >= pictures)
    for person in every[:several]:
        (folder / person.name).mkdir(parents=True)
        for path in sorted(person.iterdir())[:pictures]:
            shutil.copyfile(path, folder / person.name / path.name)
    return folder


def released(source: Path, out: Path, shared: Path, *arguments: str) -> None:
    said = CliRunner().invoke(
        app, [str(source), str(out), "--models", str(shared / "models"), "--processes", "1", *arguments]
    )
    assert said.exit_code == 0, said.output


def test_a_pasted_face_tells_as_much_as_the_crop_that_was_measured(shared: Path, tmp_path: Path) -> None:
    clear = people(shared, tmp_path / "clear", several=60, pictures=4)
    detector = load_detector(shared / "models", threads=1)
    protocol = folder_protocol(clear, detector, attacker_faces=60)
    kernel = 51
    released(clear, tmp_path / "out", shared, "--method", "blur", "--set", f"kernel={kernel}")
    for path in clear.rglob("*.jpg"):
        pixels = read_picture(path).pixels
        found = detector.detect(pixels)
        if found:
            face = main_face(found, pixels.shape[1], pixels.shape[0])
            after = read_picture(tmp_path / "out" / path.relative_to(clear)).pixels
            crop = torch.from_numpy(align(after, face.landmarks)).permute(2, 0, 1)
            CROPS[path.relative_to(clear).as_posix()] = crop
    nets = load_nets(Networks(models=shared / "models", judges=("faceapi",), teller="facex"), threads=1)
    panel = Panel(protocol, nets, attackers=("fixed", "parrot", "retrained"), objectives=("rank1_worst",))
    measured, pasted = panel.score(Blur(kernel=kernel)), panel.score(FromFiles())
    low, high = measured.intervals["rank1_worst"]
    print("rank1_worst of the crop", measured["rank1_worst"], (low, high), "pasted", pasted["rank1_worst"])
    assert measured["rank1_worst"] is not None and 0.3 < measured["rank1_worst"] < 0.95
    assert pasted["rank1_worst"] is not None and low <= pasted["rank1_worst"] <= high


@pytest.fixture(scope="module")
def embed(shared: Path) -> Callable[[np.ndarray], Tensor]:
    embedder = load_embedder(shared / "models", "edgeface_xs", threads=1)
    return lambda crop: embedder(torch.from_numpy(crop).permute(2, 0, 1)[None])[0]


@pytest.mark.parametrize("method", ["blur:kernel=101", "pixelate:block=24", "blackout:"])
def test_no_face_that_is_found_in_the_result_is_the_clear_one(
    shared: Path, tmp_path: Path, embed: Callable[[np.ndarray], Tensor], method: str
) -> None:
    source = tmp_path / "in"
    people(shared, source / "森 two\nlines", several=6, pictures=5)
    for path in sorted((shared / "data" / "london" / "smiling_front").iterdir())[:6]:
        shutil.copyfile(path, source / f"顔 {path.name}")
    name, _, value = method.partition(":")
    released(source, tmp_path / "out", shared, "--method", name, *(["--set", value] if value else []))
    rows = pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    every = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    assert {row["file"] for row in rows} == every and all(row["done"] == "anonymized" for row in rows)
    detector = load_detector(shared / "models", threads=1)
    for row in rows:
        before, after = (read_picture(folder / row["file"]).pixels for folder in (source, tmp_path / "out"))
        assert before.shape == after.shape
        clear = [embed(align(before, face.landmarks)) for face in detector.detect(before)]
        for face in detector.detect(after):
            there = embed(align(after, face.landmarks))
            assert max(float(there @ one) for one in clear) < 0.5, row["file"]
