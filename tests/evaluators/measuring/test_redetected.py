"""Faces found anew: planted detectors, whose columns are known."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from anonymizers import Blur
from evaluators.datasets.alignment import TEMPLATE
from evaluators.demo.protocol import demo_protocol
from evaluators.measuring.redetected import realigned
from evaluators.metrics import METRICS
from evaluators.networks.roles import Found
from evaluators.panel import Panel
from evaluators.zoo import load_nets
from tests.conftest import smooth_faces

BLUR = Blur(kernel=31)
COLUMNS = tuple(name for name in METRICS if name.endswith("_redetected"))


@dataclass(frozen=True)
class Planted:
    """Find the faces of every picture but each `skip`-th, with landmarks on the template, moved by (x, y) px."""

    skip: int = 0
    moved: tuple[int, int] = (0, 0)
    name: str = "planted"

    def __call__(self, images: Tensor) -> Found:
        found = torch.ones(len(images), dtype=torch.bool)
        if self.skip:
            found[:: self.skip] = False
        template = torch.from_numpy(TEMPLATE).float() * images.shape[-1] / 112 + torch.tensor(self.moved).float()
        return Found(found, template * found[:, None, None])


@pytest.fixture(scope="module")
def bare() -> Panel:
    """A panel without a detector, made once."""
    world = demo_protocol(evaluated=20, pictures=4, attacker=20, background=2)
    return Panel(world, replace(load_nets(None), perceptual=()), attackers=("fixed", "parrot"))


def with_detector(bare: Panel, detector: Planted) -> Panel:
    panel = copy.copy(bare)
    panel._cache = {}
    panel.nets = replace(bare.nets, detector=detector)
    panel.originals = replace(bare.originals, found=detector(bare.clear.probe.images))
    return panel


def test_faces_found_where_they_were_give_the_plain_columns(bare: Panel) -> None:
    scores = with_detector(bare, Planted()).score(BLUR)
    assert len(COLUMNS) == 5
    assert 0.05 < scores["rank1_fixed"] < scores["rank1_parrot"] < 1  # something to compare
    for name in COLUMNS:
        plain = name.removesuffix("_redetected")
        assert scores[name] == pytest.approx(scores[plain], abs=1e-9), name
        assert scores.intervals[name] == pytest.approx(scores.intervals[plain], abs=1e-9), name


def test_a_face_that_is_not_found_is_neither_identified_nor_read(bare: Panel) -> None:
    scores = with_detector(bare, Planted(skip=1)).score(BLUR)
    assert scores["detection_rate"] == 0
    for name in COLUMNS:
        assert scores[name] == 0, name


def test_without_a_detector_the_columns_are_null(bare: Panel) -> None:
    scores = bare.score(BLUR)
    assert {scores.values[name] for name in COLUMNS} == {None}


def test_some_found_is_what_a_nested_loop_says(bare: Panel) -> None:
    """Every second picture is not found: with two gallery pictures each, sorted by person, everybody keeps one."""
    panel = with_detector(bare, Planted(skip=2))
    scores, evidence, clear = panel.score(BLUR), panel._evidence(BLUR), panel.clear
    truth, answer = (r.logits.argmax(1).tolist() for r in (clear.probe_reading, evidence.probe_reading))
    hits: dict[str, list[float]] = {"fixed": [], "parrot": []}
    for n, probe in enumerate(evidence.probe_embedding.double()):
        for name, gallery, step in (("fixed", clear.gallery_embedding, 1), ("parrot", evidence.gallery_embedding, 2)):
            best, guess = -9.0, -1
            for m in range(step - 1, len(gallery), step):
                cosine = float(probe @ gallery[m].double())
                if cosine > best:
                    best, guess = cosine, int(clear.gallery_person[m])
            hits[name].append(float(n % 2 == 1 and guess == int(clear.probe_person[n])))
    for name, hit in hits.items():
        assert scores[f"rank1_{name}_redetected"] == pytest.approx(np.mean(hit), abs=1e-12)
    assert scores["rank1_worst_redetected"] == max(np.mean(hit) for hit in hits.values())
    agree = [t == a and n % 2 == 1 for n, (t, a) in enumerate(zip(truth, answer, strict=True))]
    assert scores["expression_agreement_redetected"] == pytest.approx(np.mean(agree), abs=1e-12)
    assert scores["rank1_fixed_redetected"] < scores["rank1_fixed"]
    said = [a if n % 2 == 1 else -1 for n, a in enumerate(answer)]  # a class of its own, never right
    assert scores["expression_kappa_redetected"] == pytest.approx(cohen_kappa_score(truth, said))


def test_a_person_whose_gallery_is_lost_scores_lowest(bare: Panel) -> None:
    @dataclass(frozen=True)
    class LosesOnePerson(Planted):
        """Find all probes, but in a gallery only pictures of others than the first person."""

        def __call__(self, images: Tensor) -> Found:
            all_found = super().__call__(images)
            first = bare.clear.gallery_person == 0
            hide = first if asked.pop(0) == "gallery" else torch.zeros_like(first)
            return Found(all_found.found & ~hide, all_found.landmarks)

    asked = ["original", "probe", "gallery"]
    panel, plain = with_detector(bare, LosesOnePerson()), bare.score(BLUR)
    scores = panel.score(BLUR)
    assert asked == []
    assert scores["rank1_fixed_redetected"] == plain["rank1_fixed"]
    others = panel.clear.probe_person != 0
    evidence = panel._evidence(BLUR)
    gallery = panel.clear.gallery_person != 0
    cosine = evidence.probe_embedding.double() @ evidence.gallery_embedding[gallery].double().T
    guess = panel.clear.gallery_person[gallery][cosine.argmax(1)]
    expected = ((guess == panel.clear.probe_person) & others).double().mean()
    assert scores["rank1_parrot_redetected"] == pytest.approx(float(expected), abs=1e-12)


def test_realigning_an_aligned_crop_changes_nothing_and_follows_moved_landmarks() -> None:
    images = smooth_faces(4, 1, size=128).images
    assert torch.equal(realigned(images, Planted()(images)), images)
    some = realigned(images, Planted(skip=2)(images))
    assert torch.equal(some, images[1::2])
    moved = realigned(images, Planted(moved=(3, 2))(images))
    assert torch.equal(moved[:, :, :-2, :-3], images[:, :, 2:, 3:])
    assert not moved[:, :, -2:].any()
    assert realigned(images, Planted(skip=1)(images)).shape == (0, 3, 128, 128)
