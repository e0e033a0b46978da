"""The undoing attacker on pictures where the truth is known: what is linear is undone, noise and a constant are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from anonymizers import Anonymizer, Blackout, Blur, Context, Faces, Identity, Pixelate
from evaluators.attackers.embeddings import fixed, parrot
from evaluators.attackers.evidence import Clear, Evidence
from evaluators.attackers.learning.inverse import prior_of
from evaluators.attackers.pictures import undone
from evaluators.metrics.identification import rank_credit
from evaluators.networks.roles import Nets, TeacherOutput
from tests.conftest import smooth_faces
from tests.helpers.planted_pixels import CHANCE, MOST_BY_CHANCE, PEOPLE, PICTURES, tiles_moved


class Linear:
    """Embed faces by a fixed random map of their 4 px blocks, each less what blurs to it."""

    name = "linear"

    def __init__(self) -> None:
        self.weight = torch.randn(64, 3 * 28 * 28, generator=torch.Generator().manual_seed(5))

    def __call__(self, images: Tensor) -> Tensor:
        small = nn.functional.interpolate(images.float(), size=(28, 28), mode="area")
        sharp = small - functional.avg_pool2d(small, 5, 1, 2)
        return functional.normalize(sharp.flatten(1) @ self.weight.T + 1e-3, dim=1)


class Silent:
    name, classes = "silent", ("a", "b")

    def __call__(self, images: Tensor) -> TeacherOutput:
        return TeacherOutput(torch.zeros(len(images), 2), torch.zeros(len(images), 3))


@dataclass(frozen=True)
class Mixed(Anonymizer):
    """Apply a map of pictures that the attacker can only learn."""

    method: ClassVar[str] = "mixed"
    change: Callable[[Tensor, Context], Tensor] = lambda images, context: images

    @classmethod
    def ranges(cls) -> dict[str, object]:  # type: ignore[override]
        return {}

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        return self.change(faces.images, context)


def noise(images: Tensor, context: Context) -> Tensor:
    generator = torch.Generator().manual_seed(context.seed)
    return torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def clear() -> Clear:
    known, others = smooth_faces(PEOPLE, PICTURES, seed=2), smooth_faces(250, 2, seed=1)
    half = torch.arange(PEOPLE * PICTURES) % PICTURES < PICTURES // 2
    gallery, probe = known.take(torch.nonzero(half)[:, 0]), known.take(torch.nonzero(~half)[:, 0])
    net, nobody = Linear(), TeacherOutput(torch.zeros(60, 2), torch.zeros(60, 3))
    return Clear(
        probe=probe,
        gallery=gallery,
        attacker=others,
        background=others,
        probe_person=probe.identity,
        gallery_person=gallery.identity,
        people=PEOPLE,
        probe_embedding=net(probe.images),
        gallery_embedding=net(gallery.images),
        probe_reading=nobody,
        attacker_embedding=net(others.images),
        attacker_answer=torch.zeros(len(others), dtype=torch.int64),
        prior=prior_of(others.images),
    )


def evidence_of(method: Anonymizer, clear: Clear) -> Evidence:
    return Evidence(method, clear, Nets(Linear(), Silent()), seed=0, batch_size=64)


def rates(method: Anonymizer, clear: Clear) -> dict[str, float]:
    evidence = evidence_of(method, clear)
    found = {"fixed": fixed.identify, "parrot": parrot.identify, "undone": undone.identify}
    return {n: float(rank_credit(f(evidence), clear.probe_person, 1).mean()) for n, f in found.items()}


@pytest.mark.parametrize("method", [Blur(kernel=31), Blur(kernel=51), Pixelate(block=12)], ids=repr)
def test_what_a_method_says_that_it_mixes_is_undone(method: Anonymizer, clear: Clear) -> None:
    found = rates(method, clear)
    assert found["undone"] > max(found["fixed"], found["parrot"]) + 0.05 or found["undone"] == 1
    assert found["undone"] > 0.8


def test_moved_tiles_are_learned_by_the_ridge(clear: Clear) -> None:
    method = Mixed(lambda images, context: tiles_moved(images))
    assert evidence_of(method, clear).undo is not None
    found = rates(method, clear)
    assert found["fixed"] < 0.4 < 0.9 < found["undone"]


def test_clear_faces_stay_known(clear: Clear) -> None:
    found = rates(Identity(), clear)
    assert found["undone"] >= found["fixed"] == 1


def test_nothing_is_undone_in_noise_or_a_black_picture(clear: Clear) -> None:
    assert rates(Mixed(noise), clear)["undone"] <= MOST_BY_CHANCE
    assert rates(Blackout(), clear)["undone"] == pytest.approx(CHANCE)


def test_where_the_ridge_does_not_help_the_pictures_stay_as_they_are(clear: Clear) -> None:
    evidence = evidence_of(Mixed(lambda images, context: images.clone()), replace(clear))
    assert evidence.undo is None and evidence.undone_probe_embedding is evidence.probe_embedding
