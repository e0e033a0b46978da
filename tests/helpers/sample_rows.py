"""Rows of a sweep that looks like one, for the tests of what the orchestrator writes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from anonymizers import ANONYMIZERS
from evaluators.metrics import METRICS
from evaluators.metrics.scores import Scores

OBJECTIVES = {"rank1_worst": "min", "expression_kappa_adapted": "max"}
SWEEP: dict[str, Any] = {
    "name": "sample",
    "created": "2026-01-02T03:04:05+00:00",
    "objectives": OBJECTIVES,
    "space": "classical",
    "sampler": "tpe",
    "seed": 0,
    "trials": 12,
    "protocol": {
        "name": "lfw",
        "digest": "0f" * 32,
        "seed": 0,
        "n_people": 158,
        "n_probe": 790,
        "n_gallery": 790,
        "n_attacker": 2000,
        "n_background": 1000,
        "rejected": {"no face": 3, "near-duplicate": 2},
    },
    "models": {"embedder": {"file": "w600k_r50.onnx", "sha256": "ab" * 32, "terms": "non-commercial research"}},
    "code": "c0ffee",
    "versions": {"python": "3.11", "torch": "2.15.0"},
    "notes": ["A note of the sweep."],
}


def scores(privacy: float, utility: float, *, seed: int = 0, replicates: int = 50) -> Scores:
    """Make scores with rank1_worst = privacy and expression_kappa_adapted = utility; draws are paired by person."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(99).normal(0, 0.03, replicates)
    values: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        values[name] = utility if metric.direction == "max" else privacy
        if metric.high is None:
            values[name] = 10 * privacy
    values |= {"rank1_worst": privacy, "rank1_fixed": privacy / 2, "expression_kappa_adapted": utility}
    missing = [name for name in METRICS if name.startswith("tar_at_far")]
    values |= dict.fromkeys(missing)
    with_interval = [n for n, m in METRICS.items() if m.interval and values[n] is not None]
    return Scores(
        told_by="facex" if seed % 2 else "",
        values=values,
        intervals={name: (float(values[name] or 0) - 0.05, float(values[name] or 0) + 0.05) for name in with_interval},
        replicates={
            name: (float(values[name] or 0) + common + rng.normal(0, 0.01, replicates)).astype(np.float32)
            for name in with_interval
        },
        n_probe=790,
        n_people=158,
        n_gallery=790,
        n_attacker=2500,
        chance_rank1=1 / 158,
        seconds=2.1,
    )


def row(
    trial: int, method: str, hyperparameters: dict[str, Any], outcome: Scores | str | None, seconds: float = 2.1
) -> dict[str, Any]:
    """Make a row as the search hands it to the ledger."""
    status = "asked" if outcome is None else "failed" if isinstance(outcome, str) else "complete"
    return {
        "trial": trial,
        "status": status,
        "error": outcome if isinstance(outcome, str) else None,
        "method": method,
        "anonymizer": repr(ANONYMIZERS[method](**hyperparameters)),
        "hyperparameters": hyperparameters,
        "scores": outcome if isinstance(outcome, Scores) else None,
        "seconds": seconds,
    }


@functools.cache
def _sample(replicates: int) -> tuple[dict[str, Any], ...]:
    made = functools.partial(scores, replicates=replicates)
    return (
        row(0, "identity", {}, made(0.98, 0.82)),
        row(1, "blackout", {}, made(0.0063, 0.0)),
        *(
            row(2 + i, "blur", {"kernel": kernel}, made(0.97 * 0.86**i, 0.8 * 0.8**i, seed=i))
            for i, kernel in enumerate((5, 11, 17, 23, 31, 45))
        ),
        *(
            row(8 + i, "pixelate", {"block": block}, made(0.9 * 0.6**i, 0.7 * 0.62**i, seed=10 + i))
            for i, block in enumerate((4, 8, 16, 24))
        ),
        row(12, "pixelate", {"block": 12}, "RuntimeError: <script>alert(1)</script> & more"),
    )


def sample(replicates: int = 50) -> list[dict[str, Any]]:
    """Make the rows of a small sweep: anchors, two methods, one failure."""
    return [dict(made) for made in _sample(replicates)]
