"""A made video of real people with sound: who enter, turn, leave and cross, over cuts; nobody is left clear."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from evaluators.datasets.alignment import align
from evaluators.datasets.sources.pictures import read_picture
from evaluators.networks.loaders import load_detector, load_embedder
from orchestrator.anonymize.__main__ import app
from tests.helpers.made_videos import frames_in, make_video, sound_in, times_in

pytestmark = [pytest.mark.real, pytest.mark.slow]

WIDTH, HEIGHT, SHOT = 640, 360, 24
Seen = list[tuple[int, float, float]]
"""Person, and where the middle of his picture lies."""


def person(shared: Path, number: int) -> NDArray[np.uint8]:
    """Return a picture of one person of LFW, alone in it, with a soft edge as its fourth channel."""
    folders = sorted(p for p in (shared / "data" / "lfw").iterdir() if p.is_dir() and len(list(p.iterdir())) >= 10)
    detector = load_detector(shared / "models", threads=1, threshold=0.2)
    every = (read_picture(path).pixels for path in sorted(folders[number].iterdir()))
    pixels = next(pixels for pixels in every if len(detector.detect(pixels)) == 1)
    y, x = np.mgrid[:150, :150]
    edge = np.clip(12 - np.hypot(x - 75, y - 75) / 6, 0, 1) * 255
    return np.dstack([pixels, edge]).astype(np.uint8)


def put(scene: NDArray[np.uint8], who: NDArray[np.uint8], x: float, y: float, size: float, angle: float) -> None:
    """Lay a person into a scene, turned by degrees."""
    matrix = cv2.getRotationMatrix2D((75, 75), angle, size / 150)
    matrix[:, 2] += (x - 75, y - 75)
    laid = cv2.warpAffine(who, matrix, (WIDTH, HEIGHT))
    share = laid[..., 3:] / 255
    scene[...] = (scene * (1 - share) + laid[..., :3] * share).astype(np.uint8)


def film(shared: Path) -> tuple[list[NDArray[np.uint8]], list[Seen]]:
    """Compose three shots: one enters and turns; two cross; another one leaves."""
    rng = np.random.default_rng(3)
    people = [person(shared, n) for n in (5, 40, 80, 120)]
    scenes = [
        np.asarray(
            cv2.resize(
                rng.integers(40, 200, (6, 10, 3), dtype=np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
            )
        )
        for _ in range(3)
    ]
    frames, seen = [], []
    for t in range(3 * SHOT):
        shot, at = divmod(t, SHOT)
        share = at / (SHOT - 1)
        here = [
            [(0, -60 + 380 * share, 180.0, 150.0, 40 * np.sin(3 * share))],
            [(1, 120 + 400 * share, 150.0, 110.0, 0.0), (2, 520 - 400 * share, 230.0, 150.0, 10.0)],
            [(3, 320 + 420 * share, 170.0, 170.0, 0.0)],
        ][shot]
        scene = scenes[shot].copy()
        for who, x, y, size, angle in here:
            put(scene, people[who], x, y, size, angle)
        frames.append(scene)
        seen.append([(who, x, y) for who, x, y, *_ in here])
    return frames, seen


@pytest.mark.parametrize("words", [("blur", "kernel=101"), ("pixelate", "block=28")])
def test_nobody_in_a_made_video_is_left_clear(shared: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    frames, seen = film(shared)
    source = make_video(tmp_path / "films 森.mp4", frames)
    command = [str(source), str(tmp_path / "out"), "--models", str(shared / "models"), "--processes", "2"]
    said = CliRunner().invoke(app, [*command, "--method", words[0], "--set", words[1]])
    assert said.exit_code == 0, said.output
    target = tmp_path / "out" / source.name
    clear, released = frames_in(source), frames_in(target)
    assert len(released) == len(clear) == 3 * SHOT
    assert np.abs(np.array(times_in(target)) - times_in(source)).max() < 0.001
    assert [data for _, data in sound_in(target)] == [data for _, data in sound_in(source)]

    rows = pq.read_table(tmp_path / "out" / f"{source.name}.manifest.parquet").to_pylist()
    tracks: dict[int, set[int]] = {}
    for number, here in enumerate(seen):
        boxes = [row for row in rows if row["frame"] == number]
        for who, x, y in here:
            inside = [b for b in boxes if b["left"] < x < b["right"] and b["top"] < y < b["bottom"]]
            if 40 < x < WIDTH - 40:  # half in the picture
                assert inside, (number, who)
            found = [b for b in inside if not b["reason"]]
            if len(found) == 1 and len(boxes) == len(here):
                tracks.setdefault(who, set()).add(found[0]["track"])
    assert all(len(numbers) == 1 for numbers in tracks.values()), tracks
    assert len(tracks) == len(set.union(*tracks.values())) == 4

    detector = load_detector(shared / "models", threads=1)
    embedder = load_embedder(shared / "models", "edgeface_xs", threads=1)

    def embed(pixels: NDArray[np.uint8]) -> list[torch.Tensor]:
        crops = [align(pixels, face.landmarks) for face in detector.detect(pixels)]
        return [embedder(torch.from_numpy(crop).permute(2, 0, 1)[None])[0] for crop in crops]

    for before, after in zip(clear[::3], released[::3], strict=True):
        known = embed(before)
        for there in embed(after):
            assert not known or max(float(there @ one) for one in known) < 0.5
