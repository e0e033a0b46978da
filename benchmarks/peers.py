"""LFW verification of anonymized against clear pictures as a face toolbox does it, and as this project does it.

    uv run python -m benchmarks.peers ../shared/data/lfw --pairs ../shared/data/lfw_pairs.txt \
        --models ../shared/models [--kernel 31 --kernel 51 ...] [--detect]

The peer repeats the procedure of toolboxes whose unit is a pair of pictures, such as `verify(img1, img2)` of DeepFace
(Serengil and Ozpinar, https://github.com/serengil/deepface) in a loop over the pairs: each picture of each pair is
represented anew, one at a time, in a batch of one; then the two are compared. Without --detect both sides start from
aligned crops (DeepFace's detector backend "skip"), with it from the files: decoded, found and aligned for every pair
there, once for every distinct picture here. Networks, threads, detector and blur are the same on both sides. The left
picture of each pair is anonymized, the right one is clear.

A rate counts two faces per pair and configuration, whether or not a side looked at them again.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from anonymizers import Blur, Context, Faces
from benchmarks.lfw import View2, read_lfw, read_pairs
from evaluators.datasets.alignment import align
from evaluators.datasets.sources.pictures import read_picture
from evaluators.metrics.pairs import fold_accuracies
from evaluators.networks.detection import Scrfd, main_face
from evaluators.networks.loaders import load_detector, load_embedder
from evaluators.networks.roles import Embedder
from orchestrator.cluster.code import commit_here


def verify(first: Tensor, second: Tensor, blur: Blur, embedder: Embedder) -> float:
    """Compare an anonymized picture with a clear one, both (1, 3, S, S) uint8, as a toolbox does: cosine in [-1, 1]."""
    one = Faces(first, torch.zeros(1, dtype=torch.int64), torch.full((1,), -1), ("first",))
    return float((embedder(blur(one, Context())).double() * embedder(second).double()).sum())


def crop_of(path: Path, detector: Scrfd) -> Tensor:
    """Read a picture, find its face and align it, to (1, 3, 112, 112) uint8."""
    picture = read_picture(path).pixels
    face = main_face(detector.detect(picture), picture.shape[1], picture.shape[0])
    return torch.from_numpy(align(picture, face.landmarks)).permute(2, 0, 1)[None].contiguous()


def peer(view: View2, blurs: list[Blur], crop: Callable[[str], Tensor], embedder: Embedder) -> list[Tensor]:
    """Score all pairs under each configuration, pair by pair: (N,) float64 each."""
    out = []
    for blur in blurs:
        scores = [verify(crop(a), crop(b), blur, embedder) for a, b in zip(view.left, view.right, strict=True)]
        out.append(torch.tensor(scores, dtype=torch.float64))
    return out


def ours(view: View2, blurs: list[Blur], faces: Faces, embedder: Embedder) -> list[Tensor]:
    """Score all pairs under each configuration, every distinct picture once, in batches: (N,) float64 each."""
    row = {key: i for i, key in enumerate(faces.key)}
    sides = [torch.tensor([row[key] for key in side]).unique(return_inverse=True) for side in (view.left, view.right)]
    (left, at_left), (right, at_right) = sides
    clear = embedder(faces.images[right]).double()[at_right]
    hidden = faces.take(left)
    return [(embedder(blur(hidden, Context())).double()[at_left] * clear).sum(1) for blur in blurs]


def take(view: View2, here: list[bool]) -> View2:
    """Return some of the pairs."""
    kept = [i for i, keep in enumerate(here) if keep]
    left, right = (tuple(side[i] for i in kept) for side in (view.left, view.right))
    return View2(left, right, view.same[kept], view.fold[kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lfw", type=Path, help="folder of one folder per person; without --detect also a prepared set")
    parser.add_argument("--pairs", type=Path, required=True, help="LFW's pairs.txt")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--kernel", type=int, action="append", help="of the blur, px; default: 31")
    parser.add_argument("--embedder", default="edgeface_xs")
    parser.add_argument("--limit", type=int, help="take so many genuine and as many impostor pairs of each fold")
    parser.add_argument("--threads", type=int, default=1, help="of the networks, on both sides")
    parser.add_argument("--detect", action="store_true", help="start from the files")
    chosen = parser.parse_args()
    view = read_pairs(chosen.pairs)
    half = len(view.same) // 20
    view = take(view, (torch.arange(len(view.same)) % half < (chosen.limit or half)).tolist())
    crops: dict[str, Tensor] = {}
    if not chosen.detect:
        faces = read_lfw(chosen.lfw, chosen.models, set(view.left) | set(view.right))
        crops = {key: faces.images[i : i + 1] for i, key in enumerate(faces.key)}
        # A prepared set lacks photographs that stand under two names.
        view = take(view, [a in crops and b in crops for a, b in zip(view.left, view.right, strict=True)])
    wanted = set(view.left) | set(view.right)
    blurs = [Blur(kernel=kernel) for kernel in chosen.kernel or [31]]
    torch.set_num_threads(chosen.threads)
    embedder = load_embedder(chosen.models, chosen.embedder, threads=chosen.threads)
    detector = load_detector(chosen.models, threads=chosen.threads)

    def crop(key: str) -> Tensor:
        return crop_of(chosen.lfw / key, detector) if chosen.detect else crops[key]

    crop_one = next(iter(wanted))
    embedder(crop(crop_one))  # the first run of a network allocates its memory
    start = time.perf_counter()
    if chosen.detect:
        faces = read_lfw(chosen.lfw, chosen.models, wanted, workers=chosen.threads)
    mine = ours(view, blurs, faces, embedder)
    here_s = time.perf_counter() - start
    start = time.perf_counter()
    theirs = peer(view, blurs, crop, embedder)
    there_s = time.perf_counter() - start
    commit = commit_here()
    count = 2 * len(view.same) * len(blurs)
    print(f"{len(view.same)} pairs of {len(wanted)} pictures, --threads {chosen.threads}, ", end="")
    print(f"{os.cpu_count()} cores, commit {commit}")
    for blur, a, b in zip(blurs, mine, theirs, strict=True):
        accuracies = [float(fold_accuracies(score, view.same, view.fold).mean()) for score in (a, b)]
        print(f"blur {blur.kernel}: accuracy here {accuracies[0]:.4f}, peer {accuracies[1]:.4f}; ", end="")
        print(f"scores differ by at most {float((a - b).abs().max()):.1e}")
    print(
        f"here {here_s:.1f} s, {count / here_s:.0f} faces/s; peer {there_s:.1f} s, {count / there_s:.0f} faces/s; ",
        end="",
    )
    print(f"ratio {there_s / here_s:.2f}")


if __name__ == "__main__":
    main()
