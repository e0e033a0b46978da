"""What a code tells: who is recognized by it, and what is read of it, where that is known."""

from __future__ import annotations

import torch

from anonymizers import Faces
from anonymizers.classical.averaging.bank import axes_of
from benchmarks.code_floor import codes_of, readable, recognized, through


def test_codes_that_tell_people_find_them_and_codes_of_chance_do_not() -> None:
    draws = torch.Generator().manual_seed(0)
    person = torch.arange(20).repeat_interleave(3)
    telling = torch.randn(20, 8, generator=draws)
    for strength, low, high in ((10.0, 0.95, 1.0), (0.0, 0.0, 0.2)):
        probe, gallery = (strength * telling[person] + torch.randn(60, 8, generator=draws) for _ in range(2))
        rank1, least, most, together = recognized(probe, gallery, person, person, 20)
        assert low <= rank1 <= high and least <= rank1 <= most
        assert together >= rank1 - 0.05


def test_a_word_that_is_in_the_code_is_read_and_another_is_not() -> None:
    draws = torch.Generator().manual_seed(1)
    code, asked = torch.randn(300, 5, generator=draws), torch.randn(200, 5, generator=draws)
    said = {"in": (code[:, 0] > 0).long(), "out": torch.randint(0, 2, (300,), generator=draws)}
    truth = {"in": (asked[:, 0] > 0).long(), "out": torch.randint(0, 2, (200,), generator=draws)}
    found = readable(code, torch.arange(300), said, asked, truth)
    assert found["in"] > 0.85 and abs(found["out"]) < 0.2


def test_a_face_without_a_code_has_the_mean(told: Faces) -> None:
    signals = {name: value.clone() for name, value in told.signals.items()}
    signals["pose"][0] = torch.nan
    faces = Faces(told.images, told.identity, told.expression, told.key, signals)
    codes = codes_of(faces, torch.zeros(14), torch.ones(14))
    assert not codes[0].any() and torch.equal(codes[1:, -3:], told.signals["pose"][1:])


def test_a_code_through_few_axes_keeps_what_varies_most_and_the_pose() -> None:
    codes = torch.randn(200, 8, generator=torch.Generator().manual_seed(2))
    codes[:, 3] *= 10
    codes -= codes.mean(0)
    left = through(codes, axes_of(codes)[:, :1])
    assert left.shape == (200, 4) and torch.equal(left[:, 1:], codes[:, -3:])
    assert torch.corrcoef(torch.stack((left[:, 0], codes[:, 3])))[0, 1].abs() > 0.99
