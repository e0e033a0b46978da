"""What people add: replicates follow from it, digit for digit, for any of the attackers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from anonymizers import ANONYMIZERS, Anonymizer, Blur
from evaluators.attackers import SEARCHING
from evaluators.demo.protocol import demo_protocol
from evaluators.measuring import identification
from evaluators.measuring.by_person import Population
from evaluators.measuring.tally import Tally
from evaluators.metrics import METRICS
from evaluators.metrics.scores import People, Scores
from evaluators.panel import Panel
from evaluators.zoo import load_nets

METHODS: tuple[Anonymizer, ...] = (
    Blur(kernel=31),
    ANONYMIZERS["blackout"](),  # everybody is tied with everybody
    ANONYMIZERS["k_same"](k=4),  # people share released pictures
)
OBJECTIVES = tuple(
    name
    for name, metric in METRICS.items()
    if metric.interval and not name.startswith("signal") and name != "rank1_worst_redetected"
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    protocol = demo_protocol(evaluated=16, pictures=4, attacker=30, background=10)
    return Panel(protocol, load_nets(None), objectives=OBJECTIVES)


@pytest.fixture(scope="module")
def population(panel: Panel) -> Population:
    return Population.of(json.loads(json.dumps(panel.describe()["people"])))


def kept(scores: Scores) -> People:
    assert scores.people is not None
    return scores.people


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_replicates_of_every_metric_follow(method: Anonymizer, panel: Panel, population: Population) -> None:
    scores = panel.score(method)
    assert {"rank1_worst", "rank1_worst_fused", "advantage", "expression_kept", "ssim"} <= scores.replicates.keys()
    for name, draws in scores.replicates.items():
        found = population.replicates_of(name, kept(scores), scores.values)
        assert found is not None, name
        np.testing.assert_array_equal(
            found.numpy().astype(np.float32).astype(np.float16), draws.astype(np.float16), name
        )
    assert bool(kept(scores).stretched) == (method.method == "k_same")


def test_what_was_not_kept_does_not_follow(panel: Panel, population: Population) -> None:
    scores = panel.score(METHODS[0])
    few = People({name: kept(scores).sums[name] for name in ("rank1_fixed", "rank1_parrot")}, {})
    assert population.replicates_of("rank1_worst", few, scores.values) is not None
    for name in ("rank1_worst_fused", "rank1_undone", "expression_kept", "ssim", "fid"):
        assert population.replicates_of(name, few, scores.values) is None


def test_any_of_the_attackers_may_count(panel: Panel, population: Population) -> None:
    """Against a measurement by those alone."""
    some, scores = ("fixed", "flipped"), panel.score(METHODS[2])
    evidence = panel._evidence(METHODS[2])
    tally = Tally(panel.clear.probe_person.cpu(), panel.draws, panel.objectives, evidence.shared)
    with torch.no_grad():
        identification.meet(evidence, some, {}, tally)
    assert set(kept(scores).attackers()) == set(kept(scores).attackers(fused=True)) == set(SEARCHING) - {"of_family"}
    found = population.replicates_of("rank1_worst", kept(scores), scores.values, some)
    assert found is not None
    np.testing.assert_array_equal(found.numpy().astype(np.float32), tally.replicates["rank1_worst"])
    assert (found.numpy() < scores.replicates["rank1_worst"]).any()


def test_sums_are_small(panel: Panel) -> None:
    scores = panel.score(METHODS[0])
    kinds = {name: array.dtype for name, array in kept(scores).sums.items()}
    assert kinds["rank1_fixed"] == kinds["expression_kappa_demo_teacher_shown"] == np.uint8
    assert kinds["expression_r2_demo_coefficients_shown"] == np.float16
    right = torch.from_numpy(kept(scores).sums["rank1_fixed"]).double().sum() / scores.n_probe
    assert float(right) == scores["rank1_fixed"]
