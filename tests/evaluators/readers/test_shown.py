"""The shown reader: nearest entry of the bank, and what the bank is."""

from __future__ import annotations

import torch

from evaluators.readers.shown import degradations, entry_of, nearest
from tests.conftest import smooth_faces


def test_the_bank_degrades_and_its_noise_follows_the_seed() -> None:
    faces = smooth_faces(4, 1)
    bank = degradations(0)
    assert len(bank) == 9
    for name, degrade in bank.items():
        released = degrade(faces)
        assert released.shape == faces.images.shape and released.dtype == torch.uint8, name
        assert not torch.equal(released, faces.images), name
        assert torch.equal(released, degradations(0)[name](faces)), name
    assert not torch.equal(bank["noise"](faces), degradations(1)["noise"](faces))


def test_the_nearest_entry_is_the_one_whose_features_look_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    person, label = torch.arange(60), torch.arange(60) % 3
    looks = {"clear": (0.0, 1.0), "blurred": (2.0, 0.5), "black": (5.0, 0.0)}
    seen = {
        name: mean + deviation * torch.randn(60, 6, generator=generator) for name, (mean, deviation) in looks.items()
    }
    bank = [entry_of(name, x, {"judge": label}, person, [6]) for name, x in seen.items()]
    for name, (mean, deviation) in looks.items():
        other = mean + deviation * torch.randn(200, 6, generator=generator)
        assert nearest(bank, other).name == name
    assert nearest(bank, 1.8 + 0.6 * torch.randn(200, 6, generator=generator)).name == "blurred"
