"""Rates of groups with planted ones, and the tables of what is read of each expression."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from anonymizers import Blur, Identity, Pixelate
from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.measuring import identification
from evaluators.measuring.judging import _kept_of_part
from evaluators.measuring.tally import Tally
from evaluators.metrics import pairs, statistics
from evaluators.metrics.kept import Measured
from evaluators.panel import Panel
from evaluators.readers import READERS
from evaluators.readers.looking import sight_of
from evaluators.zoo import load_nets
from tests.evaluators.measuring.test_identification import PEOPLE, PROBES, planted

BLUR = Blur(kernel=31)


def grouped(protocol: Protocol) -> Protocol:
    """Put everybody into one group of `all`, and the first half of the people into another of `half`."""
    people = protocol.enrolled.numel()
    halves = ("first",) * (people // 2) + (None,) * (people - people // 2)
    return replace(protocol, groups={"all": ("all",) * people, "half": halves})


@pytest.fixture(scope="module")
def panel() -> Panel:
    protocol = grouped(demo_protocol(evaluated=40, attacker=80, background=4))
    return Panel(protocol, replace(load_nets(None), perceptual=()), attackers=("fixed", "parrot"))


def test_planted_rates_of_groups_come_back_in_their_intervals() -> None:
    evidence = planted(0.1)
    person = evidence.clear.probe_person
    generator = torch.Generator().manual_seed(3)
    met, rates = {}, {"weak": (0.1, 0.3), "strong": (0.2, 0.9)}
    for name, (few, many) in rates.items():
        chance = torch.where(person < PEOPLE // 2, few, many)
        right = torch.rand(len(person), generator=generator) < chance
        met[name] = torch.nn.functional.one_hot(torch.where(right, person, (person + 1) % PEOPLE), PEOPLE).float()
    tally = Tally(person, statistics.person_draws(PEOPLE, 200), ("rank1_worst",))
    parts = {
        ("side", group): torch.nonzero((person < PEOPLE // 2) == (group == "hidden"))[:, 0]
        for group in ("hidden", "seen")
    }
    absent = pairs.absent_people(PEOPLE, 0)
    identification.measure(evidence, met, tally, absent=absent, parts=parts)
    found = tally.details["groups"]["side"]
    for group, rate in (("hidden", 0.2), ("seen", 0.9)):
        value, low, high = found[group]["rank1_worst"]
        assert low <= rate <= high and low <= value <= high and high - low < 0.2
        assert found[group]["attacker"] == "strong"
    both = sum(found[group]["rank1_worst"][0] for group in ("hidden", "seen")) / 2
    assert both == pytest.approx(tally.values["rank1_worst"]) and len(person) == PEOPLE * PROBES


def test_a_group_of_all_has_the_figures_of_all_and_half_of_them_their_own(panel: Panel) -> None:
    scores = panel.score(BLUR)
    groups: dict[str, Any] = scores.details["groups"]
    everybody = groups["all"]["all"]
    assert everybody["rank1_worst"][0] == pytest.approx(scores["rank1_worst"])
    assert everybody["expression_kept"][0] == pytest.approx(scores["expression_kept"])
    assert everybody["expression_kept"][1:] == pytest.approx(scores.intervals["expression_kept"], abs=0.05)
    half = groups["half"]["first"]["expression_kept"]
    rows = panel.parts["half", "first"]
    said, clear = (_readings(panel, method) for method in (BLUR, Identity()))
    shares = []
    for judge, truth in panel.verdicts.probe.items():
        if judge in panel.verdicts.classes:
            answers = [[read[reader][judge][rows].argmax(1) for read in (said, clear)] for reader in READERS]
            shares += [_kappa(truth[rows], now) / _kappa(truth[rows], before) for now, before in answers]
        else:
            shares += [
                _explained(truth[rows], said[reader][judge][rows]) / _explained(truth[rows], clear[reader][judge][rows])
                for reader in READERS
            ]
    assert half[0] == pytest.approx(min(1.0, *shares)) and half[1] <= half[0] <= half[2]
    before = panel.ceiling.details["groups"]["half"]["first"]
    assert before["expression_kept"] == pytest.approx([1, 1, 1]) and before["rank1_worst"][0] > 0.95


@pytest.mark.parametrize("method", [Identity(), BLUR, Pixelate(block=16)], ids=repr)
def test_confusions_are_those_of_scikit_learn(method: Any, panel: Panel) -> None:
    details = panel.score(method).details["confusions"]
    classes = panel.describe()["judges_classes"]
    read = _readings(panel, method)
    assert set(details) == {*panel.verdicts.classes, "labels"} == set(classes)
    for judge, count in panel.verdicts.classes.items():
        assert set(details[judge]) == set(READERS)
        for reader, counts in details[judge].items():
            said = read[reader][judge].argmax(1)
            expected = confusion_matrix(panel.verdicts.probe[judge], said, labels=range(count))
            assert np.array(counts).reshape(count, count).tolist() == expected.tolist()
            assert len(classes[judge]) == count
    labels = np.array(details["labels"]["adapted"]).reshape(2 * [len(classes["labels"])])
    truth = panel.protocol.probe.expression
    assert labels.sum(1).tolist() == torch.bincount(truth, minlength=len(labels)).tolist()
    right = panel.score(method)["expression_accuracy_adapted"]
    assert labels.trace() / labels.sum() == pytest.approx(right)


def test_stages_before_the_last_carry_no_details(panel: Panel) -> None:
    *before, last = panel.stages(Blur(kernel=45))
    assert before and not any(scores.details for scores in before) and last.details


def _readings(panel: Panel, method: Any) -> dict[str, Any]:
    with torch.no_grad():
        evidence = panel._evidence(method)
        if isinstance(method, Identity):
            evidence.publish = None
        told = panel.verdicts
        sight = sight_of(evidence, told.rows, told.person, told.attacker, told.shown)
        return {name: reader(sight) for name, reader in READERS.items()}


def _kappa(truth: torch.Tensor, said: torch.Tensor) -> float:
    return float(cohen_kappa_score(truth, said))


def _explained(truth: torch.Tensor, said: torch.Tensor) -> float:
    known = truth.isfinite().all(1)
    return 1 - float((truth - said)[known].square().sum() / truth[known].square().sum())


def test_what_readers_cannot_follow_on_clear_faces_has_no_share() -> None:
    part = Tally(torch.arange(12), statistics.person_draws(12, 100), ())
    good = Measured(0.8, torch.full((100,), 0.8).double(), (0.8, 0.8))
    now = Measured(0.4, torch.full((100,), 0.4).double(), (0.4, 0.4))
    torn = replace(good, draws=good.draws.clone().index_fill_(0, torch.tensor([7]), 0.0))  # one draw leaves nothing
    assert _kept_of_part({"a": {"x": now}}, {"a": {"x": good}}, ("a",), part) == [0.5, 0.5, 0.5]
    for clear in ({"a": {"x": good}}, {"a": {"x": good}, "b": {"x": torn}}):
        assert _kept_of_part({"a": {"x": now}, "b": {"x": now}}, clear, ("a", "b"), part) is None
    assert _kept_of_part({}, {}, (), part) is None
