"""What anonymizing a video costs: faces/s against deface on the same video, and whom each leaves to be recognized.

    uv run python -m benchmarks.films FACES --models MODELS --deface PATH [--seconds N] [--size 1280x720]

FACES is a folder of pictures. Programs are timed from their start to their end, in turn, in as many threads as they
take by themselves: deface once as it comes, which looks for faces at the full size, and once with its --scale at the
size at which ours looks. deface (https://github.com/ORB-HD/deface) needs an environment of its own:
`uv venv v && uv pip install --python v/bin/python deface onnxruntime`, then `--deface v/bin/deface`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from evaluators.datasets.alignment import align
from evaluators.datasets.sources.pictures import SUFFIXES, read_picture
from evaluators.networks.loaders import load_detector, load_embedder
from orchestrator.anonymize.faces.finding import FILM_LOOK
from orchestrator.cluster.code import commit_here
from orchestrator.cluster.environment import allowed_cores

RATE, PEOPLE = 25, 3
EVERY = 10
"""Of the frames, which are looked at for clear faces."""
SAME = 0.5
"""Cosine of two embeddings from which a face counts as recognized, for the count beside the times."""


def compose(path: Path, faces: list[Path], seconds: int, width: int, height: int) -> int:
    """Write a video with sound in which some people move before a scene, others every two seconds; return frames."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (6, 10, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    people = itertools.cycle(faces)
    here: list[tuple[NDArray[np.uint8], float, float]] = []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        tone: Any = container.add_stream("aac", rate=48000)
        for t in range(seconds * RATE):
            if t % (2 * RATE) == 0:
                pictures = [read_picture(next(people)).pixels for _ in range(PEOPLE)]
                here = [(p, rng.uniform(0.2, 0.8), rng.uniform(-0.2, 0.2)) for p in pictures]
            frame = scene.copy()
            for n, (pixels, at, speed) in enumerate(here):
                side = height // 3
                x = int(width * (n + at) / PEOPLE + speed * height * (t % (2 * RATE)) / (2 * RATE)) - side // 2
                x, y = max(0, min(width - side, x)), height // 3
                frame[y : y + side, x : x + side] = cv2.resize(pixels, (side, side))
            shown = av.VideoFrame.from_ndarray(frame, "rgb24")
            shown.pts, shown.time_base = t, Fraction(1, RATE)
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
        size = tone.codec_context.frame_size
        for n in range(seconds * 48000 // size):
            wave = 0.3 * np.sin(2 * np.pi * 440 * (np.arange(size) + n * size) / 48000)
            sound = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="flt", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, n * size, Fraction(1, 48000)
            container.mux(tone.encode(sound))
        container.mux(tone.encode(None))
    return seconds * RATE


def timed(command: list[str]) -> tuple[float, float]:
    """Run a program; return its wall and CPU seconds, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def clear_faces(path: Path, source: Path, models: Path) -> tuple[int, int]:
    """Count the faces of every EVERY-th frame of the original, and those that are recognized where they were."""
    detector = load_detector(models, threads=2)
    embedder = load_embedder(models, "edgeface_xs", threads=2)
    seen = left = 0
    with av.open(str(source)) as one, av.open(str(path)) as other:
        for number, frames in enumerate(zip(one.decode(video=0), other.decode(video=0), strict=True)):
            if number % EVERY:
                continue
            before, after = (frame.to_ndarray(format="rgb24") for frame in frames)
            for face in detector.detect(before, 640):
                crops = np.stack([align(pixels, face.landmarks) for pixels in (before, after)])
                was, now = embedder(torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous())
                seen, left = seen + 1, left + int(float(was @ now) >= SAME)
    return seen, left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--deface", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    width, height = (int(side) for side in chosen.size.split("x"))
    faces = sorted(p for p in chosen.faces.rglob("*") if p.suffix.lower() in SUFFIXES)
    commit = commit_here()
    print(f"{commit}, {allowed_cores()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        frames = compose(source, faces, chosen.seconds, width, height)
        ours = [sys.executable, "-m", "orchestrator.anonymize", str(source), f"{folder}/ours.mp4", "--overwrite"]
        theirs = [str(chosen.deface), str(source), "--keep-audio"]
        smaller = max(width, height) / FILM_LOOK
        scale = f"{round(width / smaller)}x{round(height / smaller)}"
        commands = {
            "ours": [*ours, "--method", "blur", "--set", "kernel=101", "--models", str(chosen.models)],
            "deface": [*theirs, "-o", f"{folder}/deface.mp4"],
            "deface, scaled": [*theirs, "-o", f"{folder}/deface, scaled.mp4", "--scale", scale],
        }
        walls: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(chosen.rounds):  # in turn, so that what else runs hits all
            for name, command in commands.items():
                wall, cpu = timed(command)
                walls[name].append(wall)
                rate = PEOPLE * frames / wall
                what = f"{frames} frames of {width}x{height}, {PEOPLE} faces in each"
                print(f"{name}: {what}, in {wall:.1f} s ({cpu:.1f} s of CPU), {rate:.1f} faces/s")
        for name in list(commands)[1:]:
            ratios = [b / a for a, b in zip(walls["ours"], walls[name], strict=True)]
            print(f"ours, times the faces/s of {name}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
        for name in commands:
            seen, left = clear_faces(Path(folder) / f"{name}.mp4", source, chosen.models)
            print(f"{name}: {left} of {seen} faces recognized where they were (cosine of at least {SAME})")


if __name__ == "__main__":
    main()
