"""No face is left clear, whatever the method makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from anonymizers import Anonymizer, Blackout, Blur, Context, Donors, Faces, Generator, Identity, KSame, Pixelate
from evaluators.networks.detection import Detection
from evaluators.networks.signals import with_measured
from orchestrator.anonymize.faces.covering import cover
from orchestrator.anonymize.faces.finding import find_all
from orchestrator.anonymize.faces.treatment import Ready
from tests.helpers.drawn_faces import DrawnFinder, is_face, picture, treatment

FORTY = [(70 + 150 * (n % 8), 80 + 150 * (n // 8), 60) for n in range(40)]


@dataclass(frozen=True)
class Picky(Anonymizer):
    """Refuse dark faces."""

    method: ClassVar[str] = "picky"

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        if bool((faces.images.float().mean((1, 2, 3)) < 120).any()):
            raise ValueError("it is too\ndark")
        return torch.full_like(faces.images, 200)


def ready(tmp_path: Path, anonymizer: Anonymizer) -> Ready:
    return Ready(treatment(tmp_path, anonymizer), DrawnFinder(), {}, Context(seed=3))


@pytest.mark.parametrize("anonymizer", [Pixelate(block=56), Blackout()], ids=repr)
def test_forty_faces_are_covered_in_one_picture(tmp_path: Path, anonymizer: Anonymizer) -> None:
    drawn = picture(1280, 800, FORTY)
    hands = ready(tmp_path, anonymizer)
    found = find_all(drawn, hands.finder)
    assert len(found) == 40
    covered = cover(drawn, found, hands, [f"p/{n}" for n in range(40)])
    assert [one.done for one in covered] == ["anonymized"] * 40
    assert not is_face(drawn).any()


def test_a_face_that_the_method_cannot_work_on_is_black_and_the_others_are_not(tmp_path: Path) -> None:
    drawn = picture(800, 300, [(150, 150, 100), (600, 150, 100)])
    drawn[:, 400:] //= 3
    hands = ready(tmp_path, Picky())
    faces = DrawnFinder().detect(drawn[:, :400]) + [
        Detection(face.box + np.float32([450, 0, 450, 0]), 0.9, face.landmarks + np.float32([450, 0]))
        for face in DrawnFinder().detect(drawn[:, :400])
    ]
    covered = cover(drawn, faces, hands, ["a", "b"])
    assert [(one.done, one.why) for one in covered] == [("anonymized", ""), ("black", "it is too dark")]
    assert (drawn[150, 150] == 200).all() and (drawn[150, 600] == 0).all()


def test_a_face_that_cannot_be_aligned_is_black(tmp_path: Path) -> None:
    drawn = picture(300, 300, [(150, 150, 100)])
    face = Detection(np.array([100, 100, 200.5, 200], np.float32), 0.9, np.full((5, 2), 150, np.float32))
    (covered,) = cover(drawn, [face], ready(tmp_path, Blur(kernel=71)), ["a"])
    assert covered.done == "black" and "one point" in covered.why
    assert not drawn[100:200, 100:201].any() and drawn[99].any()


def test_a_small_face_in_front_of_a_large_one_shows_neither(tmp_path: Path) -> None:
    """The rest of the large face's crop stays as it is there: it must be the small face's anonymized one."""
    drawn = picture(600, 600, [(300, 300, 250)])
    drawn[380:460, 60:140] = picture(80, 80, [(40, 40, 60)])
    faces = find_all(drawn, DrawnFinder())
    assert len(faces) == 2
    hands = ready(tmp_path, Blackout(region="face"))
    cover(drawn, faces, hands, ["a", "b"])
    assert not is_face(drawn[390:450, 70:130]).any()


def test_a_face_without_what_the_method_is_told_is_black_and_says_so(tmp_path: Path) -> None:
    def unmeasured(images: Tensor) -> Tensor:
        return torch.full((len(images), 68, 2), torch.nan)

    anonymizer = Generator(variant="landmarks-both", candidates=1)
    hands = Ready(treatment(tmp_path, anonymizer), DrawnFinder(), {"landmarks68": unmeasured}, Context())
    drawn = picture(300, 300, [(150, 150, 100)])
    (covered,) = cover(drawn, find_all(drawn, hands.finder), hands, ["a"])
    assert (covered.done, covered.why) == ("black", "its landmarks68 could not be measured")
    assert not drawn[130:170, 130:170].any()


def test_k_same_groups_each_face_with_people_of_the_background(tmp_path: Path, faces: Faces) -> None:
    people = Faces(faces.images[::2], torch.arange(60), torch.full((60,), -1), tuple(f"b/{n}" for n in range(60)))
    hands = Ready(treatment(tmp_path, KSame(k=10)), DrawnFinder(), {}, Context(seed=1, background=people))
    released, why = hands.anonymize(faces.images[[1, 3]], ("x", "y"))
    assert released.shape == (2, 3, 112, 112) and why == ["", ""]
    for one, own in zip(released, faces.images[[1, 3]], strict=True):
        assert (one.float() - own.float()).abs().mean() > 5
    # A mean of at least ten people varies less than any of them.
    assert released.float().std((2, 3)).mean() < faces.images.float().std((2, 3)).mean()


def test_donors_come_from_all_pictures_of_the_background(tmp_path: Path, told: Faces) -> None:
    """Of each person several pictures serve, since the one with the expression is looked for."""
    from PIL import Image

    for person in range(3):
        folder = tmp_path / "people" / f"p{person}"
        folder.mkdir(parents=True)
        for shot in range(2):
            Image.fromarray(picture(200, 200, [(100, 100, 70)], seed=9 * person + shot)).save(folder / f"{shot}.png")
    made = treatment(tmp_path, Donors(k=3), background=tmp_path / "people")
    assert made.needs_people and made.signals == ("coefficients", "pose", "landmarks68")
    people = made._people(DrawnFinder())
    assert people.people == 3 and people.identity.tolist() == [0, 0, 1, 1, 2, 2]
    measures = {name: lambda images, name=name: told.signals[name][: len(images)] for name in made.signals}
    hands = Ready(made, DrawnFinder(), measures, Context(background=with_measured(people, measures)))
    released, why = hands.anonymize(told.images[:2], ("x", "y"))
    assert why == ["", ""] and released.float().std() > 5


def test_methods_that_need_what_is_missing_say_so(tmp_path: Path) -> None:
    for anonymizer, sentence in (
        (Identity(), "expected a method that anonymizes, identity is an anchor"),
        (KSame(k=5), "give --background FACES"),
        (KSame(k=5, variant="select"), "signal expression: expected a network that measures it"),
        (Donors(k=5), "signal coefficients: expected a network that measures it"),
    ):
        with pytest.raises(ValueError, match=sentence):
            treatment(tmp_path, anonymizer).check()
    treatment(tmp_path, Blur(kernel=71)).check()


def test_a_background_of_too_few_people_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    for person in range(3):
        folder = tmp_path / "people" / f"p{person}"
        folder.mkdir(parents=True)
        Image.fromarray(picture(200, 200, [(100, 100, 70)], seed=person)).save(folder / "a.png")
    for k, fits in ((3, True), (4, False)):
        made = treatment(tmp_path, KSame(k=k), background=tmp_path / "people")
        if fits:
            people = made.ready(DrawnFinder()).context.background
            assert people is not None and people.people == 3
        else:
            with pytest.raises(ValueError, match=r"expected at least 4 people .* got 3"):
                made.ready(DrawnFinder())
