"""Stages: what is known after each, and that the last one is what is measured in one go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anonymizers import Anonymizer, Blur, Generator
from evaluators.attackers import ATTACKERS, SEARCHING
from evaluators.attackers.evidence import Evidence
from evaluators.demo.protocol import demo_protocol
from evaluators.measuring import expression, identification, judging, realism
from evaluators.measuring.stages import GALLERY, MET, PICTURES, READERS, UNDOING, VERIFYING, plan_of
from evaluators.measuring.tally import Tally
from evaluators.metrics.scores import Scores
from evaluators.panel import Panel
from evaluators.zoo import load_nets

METHODS = (Blur(kernel=31), Generator())


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel(demo_protocol(evaluated=16, pictures=4, attacker=30, background=4), load_nets(None))


@pytest.fixture(scope="module")
def staged(panel: Panel) -> dict[Anonymizer, list[Scores]]:
    return {method: list(panel.stages(method)) for method in METHODS}


def at_once(panel: Panel, anonymizer: Anonymizer) -> Tally:
    """Measure without stages, attackers first and all together, pictures before readers."""
    evidence = panel._evidence(anonymizer)
    tally = Tally(panel.clear.probe_person.cpu(), panel.draws, panel.objectives)
    with torch.no_grad():
        realism.measure(evidence, tally, panel.originals)
        met: dict[str, torch.Tensor] = {}
        identification.meet(evidence, panel.attackers, met, tally)
        identification.measure(evidence, met, tally, absent=panel.absent)
        expression.measure(evidence, tally, temperature=panel.temperature, labels=panel.labels)
        judging.measure(evidence, tally, panel.verdicts, panel.reference, panel.labelled)
    return tally


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_measured_to_its_end_a_trial_has_the_scores_of_one_without_stages(
    method: Anonymizer, panel: Panel, staged: dict[Anonymizer, list[Scores]]
) -> None:
    *so_far, whole = staged[method]
    assert [scores.stage for scores in so_far] == [READERS, GALLERY, UNDOING] and whole.stage == ""
    assert panel.score(method) is whole
    known = at_once(panel, method)
    measured = {name: value for name, value in whole.values.items() if value is not None}
    assert measured == {name: value for name, value in known.values.items() if value is not None}
    assert whole.intervals == known.intervals
    assert whole.replicates.keys() == known.replicates.keys() == set(panel.objectives)
    for name, draws in known.replicates.items():
        np.testing.assert_array_equal(whole.replicates[name], draws)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_what_is_known_before_the_end_stands_or_is_a_bound(
    method: Anonymizer, staged: dict[Anonymizer, list[Scores]]
) -> None:
    *so_far, whole = staged[method]
    met: list[str] = []
    for scores in so_far:
        met += [name for name in SEARCHING if MET[name] == scores.stage and name != "of_family"]  # who learned none
        assert {name for name in SEARCHING if scores.values[f"rank1_{name}"] is not None} == set(met)
        assert scores["rank1_worst"] == max(scores[f"rank1_{name}"] for name in met)
        for name, value in scores.values.items():
            if name in ("rank1_worst", "rank1_worst_fused"):
                assert value is not None and value <= whole[name]
            elif value is not None:
                assert value == whole[name], name
        assert (scores.replicates["rank1_worst"] <= whole.replicates["rank1_worst"]).all()
        np.testing.assert_array_equal(scores.replicates["expression_kept"], whole.replicates["expression_kept"])
        assert scores.values["ssim"] is None and scores.values["eer"] is None
    assert so_far[-1]["rank1_worst"] == whole["rank1_worst"]  # every attacker is met by then
    times = [scores.seconds for scores in staged[method]]
    assert times == sorted(set(times))


def test_a_stage_computes_only_what_it_adds(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[torch.Tensor] = []
    embedder = panel.nets.embedder

    class Watched:
        name = embedder.name

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            looked.append(images)
            return embedder(images)

    monkeypatch.setattr(panel, "nets", replace(panel.nets, embedder=Watched()))
    evidence = panel._evidence(Blur(kernel=33))
    own = {"probe": evidence.probe, "gallery": evidence.gallery, "attacker": evidence.attacker}
    found = []
    for _ in panel.stages(Blur(kernel=33)):
        found.append([name for images in looked for name, known in own.items() if torch.equal(images, known)])
        looked.clear()
    assert sorted(found[0]) == ["attacker", "probe"] and found[1:] == [["gallery"], [], []]


def test_who_has_seen_enough_asks_no_more(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(evidence: Evidence) -> torch.Tensor:
        raise AssertionError("the gallery was looked at")

    monkeypatch.setattr(Evidence, "gallery", property(refuse))
    stages = panel.stages(Blur(kernel=35))
    assert next(stages).stage == READERS
    with pytest.raises(AssertionError, match="the gallery was looked at"):
        next(stages)


def test_a_configuration_that_was_measured_is_whole_at_once(
    panel: Panel, staged: dict[Anonymizer, list[Scores]]
) -> None:
    assert list(panel.stages(METHODS[0])) == [staged[METHODS[0]][-1]]


def test_every_attacker_is_met_once_and_the_dear_ones_last() -> None:
    plan = plan_of(tuple(ATTACKERS))
    assert list(plan) == [READERS, GALLERY, UNDOING, PICTURES, VERIFYING]
    assert sorted(name for added in plan.values() for name in added) == sorted(ATTACKERS)
    assert plan[VERIFYING] == ("restored", "finetuned", "held_out")
    few = {READERS: (), GALLERY: ("parrot",), PICTURES: (), VERIFYING: ("one's own",)}
    assert plan_of(("parrot", "one's own")) == few
    assert list(plan_of(SEARCHING)) == [READERS, GALLERY, UNDOING, PICTURES]
