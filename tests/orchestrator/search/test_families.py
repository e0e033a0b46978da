"""What the attacker of_family learned is kept, taken up again, and left out with a sentence where there is no time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from anonymizers import Blackout, Blur, Identity, Pixelate
from evaluators.attackers.learning import family
from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import Networks
from orchestrator.search.families import families_facts, families_of
from orchestrator.search.make_panel import MakePanel
from search_spaces import SearchSpace

SPACE = SearchSpace("some", configurations=(Blur(kernel=31), Blur(kernel=51), Pixelate(block=8), Identity()))


@pytest.fixture(scope="module")
def make() -> MakePanel:
    protocol = demo_protocol(evaluated=24, pictures=4, attacker=40, background=2)
    attackers = ("fixed", "undone", "of_family")
    return MakePanel(protocol, None, ("rank1_worst", "ssim"), attackers, "cpu", differentiable=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "STEPS", 2)
    monkeypatch.setattr(family, "LEAST_STEPS", 1)
    monkeypatch.setattr(family, "WIDTHS", (8, 8))
    monkeypatch.setattr(family, "_proof", lambda *given: (1.0, 0.5))


def test_what_was_learned_is_kept_and_taken_up_again(make: MakePanel, quick: None, tmp_path: Path) -> None:
    learn = families_of(make, SPACE, tmp_path, 60.0)
    assert learn is not None and set(learn.members) == {"blur", "pixelate"}  # an anchor has nothing to learn
    assert learn.step == "an attacker learns blur, pixelate in at most 60 s (--family-budget)"
    made = learn()
    learn.keep(made, tmp_path)
    names, left_out = families_facts(learn, made)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values()) and not left_out
    again = families_of(make, SPACE, tmp_path, 60.0)
    assert again is not None and not again.members and again().families == made.families
    others = families_of(replace(make, publish="jpeg:85"), SPACE, tmp_path, 60.0)
    assert others is not None and set(others.members) == {"blur", "pixelate"}  # other pictures, other families
    panel = again()()
    facts = panel.describe()["families"]
    assert facts["blur"]["members"] == [repr(Blur(kernel=31)), repr(Blur(kernel=51))]
    scores = panel.score(Blur(kernel=41))
    assert scores["rank1_worst"] == max(scores[f"rank1_{name}"] for name in ("fixed", "undone", "of_family"))
    assert panel.score(Blackout()).values["rank1_of_family"] is None


def test_a_resumed_run_has_its_families_and_no_others(make: MakePanel, tmp_path: Path) -> None:
    (tmp_path / "family-blur-1.safetensors").write_bytes(b"what it was")
    learn = families_of(make, SPACE, tmp_path, 60.0, {"families": {"blur": "family-blur-1.safetensors"}})
    assert learn is not None and not learn.members and learn().families == {"blur": b"what it was"}
    with pytest.raises(ValueError, match=r"--resume: expected what the attacker of_family learned in .*blur-2"):
        families_of(make, SPACE, tmp_path, 60.0, {"families": {"blur": "family-blur-2.safetensors"}})


def test_without_time_every_method_is_left_out_and_named(make: MakePanel, tmp_path: Path) -> None:
    learn = families_of(make, SPACE, tmp_path, None)  # the demo world's default
    assert learn is not None
    names, left_out = families_facts(learn, learn())
    assert not names and left_out == [
        "Attacker of_family leaves blur and pixelate out: no time, --family-budget gives some."
    ]
    assert families_of(replace(make, attackers=("fixed",)), SPACE, tmp_path, 60.0) is None


def test_too_little_time_is_told_with_its_steps(make: MakePanel, tmp_path: Path) -> None:
    learn = families_of(make, SPACE, tmp_path, 0.01)
    assert learn is not None
    _, left_out = families_facts(learn, learn())
    assert len(left_out) == 1 and "s are too few for it: 0 steps of at least 20 would fit" in left_out[0], left_out


def test_a_short_run_does_not_wait_for_long(make: MakePanel, tmp_path: Path) -> None:
    real = replace(make, networks=Networks(models=tmp_path))
    for trials, seconds in ((1, 10.0), (12, 120.0), (500, 300.0), (math.inf, 300.0)):
        learn = families_of(real, SPACE, tmp_path, None, trials=trials)
        assert learn is not None and learn.seconds == seconds


def test_too_few_pictures_are_told_before_minutes_of_learning(make: MakePanel, tmp_path: Path) -> None:
    few = replace(make, protocol=demo_protocol(evaluated=4, pictures=2, attacker=8, background=2))
    with pytest.raises(ValueError, match="expected more gallery pictures than people, got 4 of 4"):
        families_of(few, SPACE, tmp_path, 60.0)
