"""The same 13 configurations as one would write them without this project, side by side in one run.

    uv run python -m benchmarks.naive [--faces 50] [--faces 500]

The naive program is a Tune function per trial, as in Ray's tutorials: it loads its networks, reads its faces, and
loops over the pictures one by one with OpenCV and the networks; the clear pictures are embedded again in every trial.
It computes the same quantities: three attackers, the teacher's and the adapted reader's kappa, ST-LPIPS, SSIM, MSE,
and bootstrap intervals of the objectives. Networks: the demo's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import ray
import torch
from ray import tune
from rich.console import Console
from skimage.metrics import structural_similarity
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.neural_network import MLPClassifier

from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.metrics import objectives_of
from evaluators.zoo import load_nets
from orchestrator.cluster.code import commit_here
from orchestrator.cluster.on_ray import OnRay
from orchestrator.records.ledger import Ledger
from orchestrator.search.make_panel import MakePanel
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.progress import PlainProgress
from orchestrator.sweep.sweep import Sweep
from search_spaces import SPACES

CONFIGURATIONS = [("blur", k) for k in (11, 21, 31, 51, 71, 101)] + [("pixelate", b) for b in (4, 8, 12, 16, 24, 32)]
CONFIGURATIONS += [("blackout", 0)]


GOALS = {50: 8, 500: 3}
"""Probes -> how many times faster than the naive program this one should be."""


def protocol_of(faces: int) -> Protocol:
    """Make as many gallery pictures as probes, and twice as many attacker faces, at most 1,000."""
    return demo_protocol(evaluated=faces // 5, pictures=10, attacker=min(100, faces // 5), background=2)


def anonymize(picture: np.ndarray, method: str, strength: int) -> np.ndarray:
    if method == "blur":
        return cv2.GaussianBlur(picture, (strength, strength), 0)
    if method == "blackout":
        return np.zeros_like(picture)
    out = picture.copy()
    for top in range(0, 112, strength):
        for left in range(0, 112, strength):
            out[top : top + strength, left : left + strength] = picture[
                top : top + strength, left : left + strength
            ].mean((0, 1))
    return out


def naive_trial(config: dict[str, Any]) -> dict[str, float]:
    torch.set_num_threads(1)
    protocol, nets = protocol_of(config["faces"]), load_nets(None)
    (st_lpips,) = nets.perceptual

    def pictures(faces: Any) -> list[np.ndarray]:
        return [image.permute(1, 2, 0).numpy() for image in faces.images]

    def tensor(picture: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]

    def embed(some: list[np.ndarray]) -> np.ndarray:
        return np.stack([nets.embedder(tensor(p))[0].numpy() for p in some])

    def read(some: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        outs = [nets.teacher(tensor(p)) for p in some]
        return np.array([int(o.logits.argmax()) for o in outs]), np.stack([o.features[0].numpy() for o in outs])

    probe, gallery, attacker = (pictures(f) for f in (protocol.probe, protocol.gallery, protocol.attacker))
    hidden = {
        name: [anonymize(p, config["method"], config["strength"]) for p in some]
        for name, some in (("probe", probe), ("gallery", gallery), ("attacker", attacker))
    }
    who, enrolled = protocol.probe.identity.numpy(), protocol.gallery.identity.numpy()
    out = embed(hidden["probe"])
    clear, parrot = embed(gallery), embed(hidden["gallery"])
    hits = [
        [enrolled[int((g @ e).argmax())] == person for e, person in zip(out, who, strict=True)] for g in (clear, parrot)
    ]
    mirrored = embed([anonymize(np.fliplr(p), config["method"], config["strength"]) for p in gallery])
    seen, names = np.concatenate([parrot, mirrored]), np.concatenate([enrolled, enrolled])
    networks = [MLPClassifier((256,), max_iter=60, random_state=s).fit(seen, names) for s in range(3)]
    discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4).fit(seen, names)
    opinions = sum(n.predict_log_proba(out) for n in networks) + discriminant.predict_log_proba(out)
    hits.append(discriminant.classes_[opinions.argmax(1)] == who)
    truth, _ = read(probe)
    answer, features = read(hidden["probe"])
    labels, _ = read(attacker)
    _, prepared = read(hidden["attacker"])
    adapted = LogisticRegression(max_iter=200).fit(prepared, labels).predict(features)
    distances = [
        float(st_lpips.distance_to(st_lpips.features(tensor(a)), tensor(b)))
        for a, b in zip(probe, hidden["probe"], strict=True)
    ]
    similar = [
        structural_similarity(
            a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
        for a, b in zip(probe, hidden["probe"], strict=True)
    ]
    errors = [float(((a / 255.0 - b / 255.0) ** 2).mean()) for a, b in zip(probe, hidden["probe"], strict=True)]
    best = max(hits, key=np.mean)
    generator, draws = np.random.default_rng(0), []
    people = [np.flatnonzero(who == person) for person in np.unique(who)]
    for _ in range(200):  # a tenth of the replicates: a loop of 2,000 would be unfair to the naive program
        drawn = np.concatenate([people[i] for i in generator.integers(0, len(people), len(people))])
        draws.append((np.mean(np.asarray(best)[drawn]), cohen_kappa_score(truth[drawn], adapted[drawn])))
    return {
        "rank1_worst": float(np.mean(best)),
        "rank1_lo": float(np.quantile([d[0] for d in draws], 0.025)),
        "expression_kappa": cohen_kappa_score(truth, answer),
        "expression_kappa_adapted": cohen_kappa_score(truth, adapted),
        "st_lpips": float(np.mean(distances)),
        "ssim": float(np.mean(similar)),
        "mse": float(np.mean(errors)),
    }


def trial(config: dict[str, Any]) -> dict[str, float]:
    return naive_trial(config["configuration"])


def naive(faces: int) -> float:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        configurations = [{"method": m, "strength": s, "faces": faces} for m, s in CONFIGURATIONS]
        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={"configuration": tune.grid_search(configurations)},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        grid = tuner.fit()
        assert len(grid) == 13
        assert not grid.errors, grid.errors
    return time.perf_counter() - start


def ours(faces: int, *, racing: bool) -> tuple[float, int]:
    """Time the same, from making the faces to the closed ledger, on a Ray that runs already, and count the stopped."""
    start = time.perf_counter()
    objectives = objectives_of(DEFAULT_OBJECTIVES)
    backend = OnRay(
        MakePanel(protocol_of(faces), None, DEFAULT_OBJECTIVES, device="cpu"), panels=1, gpus_per_panel=0, address=None
    )
    with tempfile.TemporaryDirectory() as folder:
        facts = {"name": "naive", "objectives": objectives}
        with (
            Ledger.create(Path(folder) / "ledger.arrow", facts) as ledger,
            PlainProgress(Console(file=StringIO())) as progress,
        ):
            progress.start(facts, 14)
            sweep = Sweep(
                SPACES["classical_grid"], objectives, ledger, progress, sampler="grid", trials=13, seed=0, racing=racing
            )
            backend.run(sweep)
            assert sweep.finished
            ended = ledger.table()["status"].to_pylist()
            assert "failed" not in ended
            stopped = ended.count("stopped")
    backend.close()
    return time.perf_counter() - start, stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, action="append", help="probes; default: 50 and 500")
    options = parser.parse_args()
    commit = commit_here()
    root = str(Path(__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([root, str(Path(__file__).resolve().parent)])
    ray.init(log_to_driver=False, logging_level="ERROR")
    print(f"13 configurations, demo faces of 112 px, {os.cpu_count()} cores, commit {commit}")
    for faces in options.faces or GOALS:
        goal = f" (goal {GOALS[faces]})" if faces in GOALS else ""
        fast, _ = ours(faces, racing=False)
        raced, stopped = ours(faces, racing=True)
        slow = naive(faces)
        print(
            f"{faces} probes: naive {slow:.1f} s, ours {fast:.1f} s, ratio {slow / fast:.1f}{goal}; "
            f"with racing, which stopped {stopped}, {raced:.1f} s, ratio {slow / raced:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
