"""The shown reader: what the bank is, and how what it taught carries over."""

from __future__ import annotations

import torch

from evaluators.readers.shown import degradations, learn, seen, shown
from evaluators.readers.sight import Sight
from tests.conftest import smooth_faces


def test_the_bank_degrades_and_its_noise_follows_the_seed() -> None:
    faces = smooth_faces(4, 1)
    bank = degradations(0)
    assert len(bank) == 8
    for name, degrade in bank.items():
        released = degrade(faces)
        assert released.shape == faces.images.shape and released.dtype == torch.uint8, name
        assert not torch.equal(released, faces.images), name
        assert torch.equal(released, degradations(0)[name](faces)), name
    assert not torch.equal(bank["noise"](faces), degradations(1)["noise"](faces))


def test_what_was_learned_under_one_degradation_is_read_under_another() -> None:
    """Each degradation shifts and stretches the features; the direction that tells the classes stays."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 2, (400,), generator=generator)
    person = torch.arange(400) // 2

    def look(shift: float, stretch: float) -> torch.Tensor:
        plain = torch.randn(400, 6, generator=generator)
        plain[:, 0] += 4.0 * label
        return stretch * plain + shift

    bank = [seen(look(*change), {"judge": label}, person, [6]) for change in ((0, 1), (5, 0.5), (-3, 2))]
    heads = learn(bank, [6])
    other = look(40, 0.7)
    sight = Sight(other, other, person, [6], {"judge": label}, heads)
    right = (shown(sight)["judge"].argmax(1) == label).double().mean()
    assert right > 0.95
    faint = look(40, 0.7)
    faint[:, 0] = 40 + 0.01 * label  # a code in a feature that faces move much
    answer = shown(Sight(faint, faint, person, [6], {"judge": label}, heads))["judge"].argmax(1)
    assert (answer == label).double().mean() < 0.7
    black = torch.ones(400, 6)
    answer = shown(Sight(black, black, person, [6], {"judge": label}, heads))["judge"]
    assert (answer == answer[0]).all()  # the same to everybody


def test_coefficients_are_centered_on_the_faces_of_their_degradation() -> None:
    said = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) + 3
    one = seen(torch.randn(50, 4), {"judge": said}, torch.arange(50), [4])
    assert torch.allclose(one.targets["judge"].mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(one.features.mean(0), torch.zeros(4), atol=1e-5)
