from __future__ import annotations

import pytest

from evaluators.metrics import METRICS, objectives_of

BUILT = [
    "rank1_fixed",
    "rank1_parrot",
    "rank1_retrained",
    "rank1_mapped",
    "rank1_held_out",
    "rank1_worst",
    "rank5_fixed",
    "rank5_parrot",
    "rank5_retrained",
    "rank5_mapped",
    "rank5_held_out",
    "rank10_fixed",
    "rank10_parrot",
    "rank10_retrained",
    "rank10_mapped",
    "rank10_held_out",
    "tar_at_far_1e2",
    "tar_at_far_1e3",
    "tar_at_far_1e4",
    "eer",
    "auc",
    "d_prime",
    "fnir_at_fpir_1e2",
    "linkability_auc",
    "chance_rank1_measured",
    "advantage",
    "expression_kappa",
    "expression_kappa_adapted",
    "expression_agreement",
    "expression_agreement_chance",
    "expression_accuracy",
    "expression_macro_f1",
    "expression_kl",
    "expression_js",
    "expression_similarity",
    "lpips",
    "st_lpips",
    "ssim",
    "ms_ssim",
    "mse",
    "psnr",
    "fid",
    "kid",
    "frechet_embedding",
    "detection_rate",
    "landmark_nme",
    "hifd_privacy",
]


@pytest.mark.parametrize("name", METRICS)
def test_facts_are_consistent(name: str) -> None:
    metric = METRICS[name]
    assert metric.direction in {"min", "max"}
    assert metric.low is None or metric.low <= metric.worst
    assert metric.high is None or metric.worst <= metric.high
    best = metric.low if metric.direction == "min" else metric.high
    assert best is None or best != metric.worst
    assert metric.source and metric.description
    assert "\n" not in metric.description and not metric.description.endswith(".")


def test_every_column_is_there() -> None:
    assert set(BUILT) <= set(METRICS)


def test_objectives_keep_their_order_and_direction() -> None:
    found = objectives_of(["expression_kappa_adapted", "rank1_worst"])
    assert list(found.items()) == [("expression_kappa_adapted", "max"), ("rank1_worst", "min")]


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"expected one of \d+ names, or what --list-metrics lists, got 'privacy'; the nearest is hifd"
    ):
        objectives_of(["privacy", "rank1_worst", "fun"])
