"""Training of the network that refines averages: who its donors are, what its losses ask, resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anonymizers import Faces
from anonymizers.training import refining
from anonymizers.training.loop import keep, train
from anonymizers.training.recipe import Refining
from anonymizers.training.refining import Refinement, averaged
from evaluators.demo.faces import people
from evaluators.demo.nets import load_demo_embedder, load_demo_teacher
from evaluators.demo.protocol import faces_of

TINY = Refining(steps=4, batch=6, width=8, school=3, bank=6)


@pytest.fixture(scope="module")
def crowd() -> Faces:
    return faces_of(people(32_000, 12, 2))


def begin(recipe: Refining, faces: Faces) -> Refinement:
    return Refinement(recipe, faces, load_demo_embedder().embed, [load_demo_teacher().read])


def test_a_face_is_never_among_its_own_donors(crowd: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the pictures of a face's own half of the people, its average stays."""
    embed, read, device = load_demo_embedder().embed, load_demo_teacher().read, torch.device("cpu")
    before = averaged(crowd, TINY, embed, [read], device)
    assert len(before.images) == len(crowd) and len(before.answers) == 1
    first = crowd.identity < 32_006
    images = torch.where(first[:, None, None, None], 255 - crowd.images, crowd.images)
    after = averaged(replace(crowd, images=images), TINY, embed, [read], device)
    assert torch.equal(before.average[:12], after.average[:12])
    assert not any(torch.equal(a, b) for a, b in zip(before.average[12:], after.average[12:], strict=True))
    assert torch.equal(before.code[0], torch.cat([crowd.signals[name][0] for name in ("coefficients", "pose")]))


def test_a_refining_run_goes_on_from_its_checkpoint_bit_for_bit(crowd: Faces, tmp_path: Path) -> None:
    whole = train(begin(TINY, crowd), tmp_path / "whole.ckpt")
    first = begin(TINY, crowd)
    for _ in range(2):
        first.step()
    keep(first, tmp_path / "half.ckpt")
    again = train(begin(TINY, crowd), tmp_path / "half.ckpt", resume=True)
    assert again.step_number == 4
    for name, value in whole.weights().items():
        assert torch.equal(value, again.weights()[name]), name
    assert whole.samples().shape == (6, 8, 3, 112, 112)
    with pytest.raises(ValueError, match="--resume: expected a checkpoint of Refining"):
        train(begin(replace(TINY, code=0.5), crowd), tmp_path / "half.ckpt", resume=True)


@pytest.mark.parametrize("asked", ["reconstruction", "expression", "code"])
def test_refining_lowers_what_it_is_asked_to_lower(asked: str, crowd: Faces) -> None:
    others = dict.fromkeys(("reconstruction", "attraction", "expression", "code", "critic"), 0.0)
    recipe = replace(TINY, steps=24, rate=5e-3, late=1.0, school=40, **{**others, asked: 5.0})  # type: ignore[arg-type]
    run = begin(recipe, crowd)
    steps = [run.step() for _ in range(24)]
    early, late = (sum(step[asked] for step in part) / 8 for part in (steps[:8], steps[-8:]))
    assert late < early, (early, late)


def test_too_few_people_for_two_averages_are_refused(crowd: Faces) -> None:
    with pytest.raises(ValueError, match="expected faces of at least 10 people, got 4; give more"):
        begin(TINY, crowd.take(range(8)))
    with pytest.raises(ValueError, match="expected at least a batch of 32 faces"):
        begin(replace(TINY, batch=32), crowd)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"steps": 0}, "Refining.steps: expected at least 1"), ({"early": 1.5}, r"Refining.early: expected a share")],
)
def test_a_refining_recipe_that_cannot_be_is_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Refining(**wrong)  # type: ignore[arg-type]
    assert refining.WAYS[0].k == 20
