"""Which sampler finds the front: hypervolume of each over that of random draws, five methods, scores simulated.

uv run python -m benchmarks.samplers [--trials N ...] [--seeds S] [--samplers NAME ...]

The formula of the scores follows what RESULTS.md says of the methods: blur keeps what it hides, a few blocks hide
much, k-Same all, many donors keep half and hide less the more they are, and the generator lies beside them. Every seed
is a sweep of its own, the same seeds for all samplers; the difference to random draws is paired by seed, with its 95 %
interval.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import optuna
from scipy import stats

from anonymizers import Anonymizer
from evaluators.metrics import objectives_of
from orchestrator.records.front import FrontSoFar
from orchestrator.search.settings import DEFAULT_OBJECTIVES
from orchestrator.sweep.proposals import Proposals
from orchestrator.sweep.study import SAMPLERS
from search_spaces import SPACES

SPACE = SPACES["classical_and_generator"]
OBJECTIVES = objectives_of(DEFAULT_OBJECTIVES)
QUALITY = {
    "expression-both": 0.62,
    "both-both": 0.55,
    "both-feature": 0.5,
    "both-kd_logit": 0.48,
    "both-none": 0.4,
    "parsing-both": 0.42,
    "landmarks-both": 0.38,
    "none-both": 0.3,
}
"""Expression that a variant of the generator keeps without noise."""
MATCH, SHAPE = {"each": 0.0, "mean": 0.04}, {"donors": 0.0, "model": 0.02, "moved": 0.04}
"""Expression that donors keep the more."""


def truth(anonymizer: Anonymizer) -> dict[str, float]:
    """Return what a configuration would measure: `rank1_worst` and `expression_kept`."""
    its = anonymizer.hyperparameters()
    if anonymizer.method == "blur":
        share = (its["kernel"] - 3) / 108
        risk, kept = 1 - 0.62 * share**2.5, (1 - share) ** 3
    elif anonymizer.method == "pixelate":
        risk, kept = 1 / (1 + math.exp((its["block"] - 17) / 4.5)), math.exp(-its["block"] / 5)
    elif anonymizer.method == "k_same":
        selected = its["variant"] == "select"
        risk, kept = (0.03 if selected else 0.9) / its["k"] ** 0.6, 0.12 if selected else 0.2 * math.exp(-its["k"] / 25)
    elif anonymizer.method == "donors":
        many, hidden = math.log(its["k"] / 2) / math.log(25), 1 - math.exp(-its["noise"])
        risk = 0.01 + 0.04 * many * (1 - 0.8 * hidden)
        kept = (0.34 + 0.06 * many + MATCH[its["match"]] + SHAPE[its["shape"]]) * (1 - 0.6 * hidden)
    elif anonymizer.method == "generator":
        hidden = 1 - math.exp(-its["noise"])
        risk = 0.05 + 0.5 * (1 - hidden) * (1 - 0.045 * its["candidates"])
        kept = QUALITY[its["variant"]] * (1 - 0.6 * hidden) - 0.01 * its["candidates"]
    else:
        risk, kept = {"identity": (1.0, 1.0)}.get(anonymizer.method, (0.006, 0.0))
    if its.get("region") == "face":
        risk, kept = min(1.0, risk + 0.03), min(1.0, kept + 0.02)
    return dict(zip(DEFAULT_OBJECTIVES, (risk, kept), strict=True))


def found(sampler: str, seed: int, trials: int) -> float:
    """Return the hypervolume of the front that a sampler finds on one panel."""
    proposals = Proposals(SPACE, OBJECTIVES, sampler=sampler, trials=trials, seed=seed, begun_with=trials)
    front = FrontSoFar(OBJECTIVES)
    for _ in range(proposals.total):
        asked = proposals.ask()
        assert asked is not None, "the space has more configurations than any benchmark tries"
        measured = truth(asked.anonymizer)
        front.add(measured)
        proposals.tell(asked, measured)
    return front.hypervolume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 100, 300])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", default=[name for name in SAMPLERS if name != "random"])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for trials in options.trials:
        volumes = np.array([found("random", seed, trials) for seed in range(options.seeds)])
        print(f"{trials} trials, random: hypervolume {volumes.mean():.4f}", flush=True)
        for sampler in options.samplers:
            began = time.process_time()
            # Of a grid there is one, whatever the seed.
            own = np.array([found(sampler, seed, trials) for seed in range(1 if sampler == "grid" else options.seeds)])
            gain = np.broadcast_to(own, volumes.shape) - volumes
            low, high = stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))
            took = (time.process_time() - began) / len(own) / trials
            print(
                f"{trials} trials, {sampler}: hypervolume {own.mean():.4f}, over random {gain.mean():+.4f} "
                f"[{low:+.4f}, {high:+.4f}], in {(gain > 0).sum()} of {len(gain)} seeds; {1e3 * took:.1f} ms a trial",
                flush=True,
            )


if __name__ == "__main__":
    main()
