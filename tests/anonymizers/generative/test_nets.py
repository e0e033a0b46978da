"""The published generators, written anew: names, shapes and counts are those of the authors' definitions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from anonymizers.generative.nets.ciagan_net import CiaganGenerator
from anonymizers.generative.nets.deep_privacy2_net import DeepPrivacy2Generator
from anonymizers.generative.nets.pix2pix import Pix2PixUNet
from anonymizers.generative.resident import load_strictly, read_tensors, resident

# Of the authors' own definitions, built once: the digest of "name shape" lines in sorted order, and the parameters.
PUBLISHED: list[tuple[Callable[[], nn.Module], str, int]] = [
    (Pix2PixUNet, "89ada2d3c2f2aff54bba9d827494a2f0f9278dadd04a3b360009517a53bf1095", 54_404_099),
    (CiaganGenerator, "d488174c16d349eac416d0f08caa17ba03e9af0c535f96fa1086b8b3cf2232ea", 11_801_123),
    (DeepPrivacy2Generator, "d4e8f043cefccddf23e42a0a3c4718c4729ca27626b94e4e2344ca939193dfd7", 42_569_987),
]


@pytest.mark.parametrize(("build", "digest", "count"), PUBLISHED)
def test_names_and_shapes_are_the_published_ones(build: Callable[[], nn.Module], digest: str, count: int) -> None:
    net = build()
    lines = "\n".join(f"{name} {tuple(value.shape)}" for name, value in sorted(net.state_dict().items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == digest
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_deep_privacy2_leaves_what_is_known() -> None:
    net = DeepPrivacy2Generator().eval()
    known = torch.ones(1, 1, 128, 128)
    known[:, :, 30:90, 40:100] = 0
    picture = (torch.rand(1, 3, 128, 128) * 2 - 1) * known
    with torch.no_grad():
        first, second = (net(picture, known, net.style_net(torch.randn(1, 512))) for _ in range(2))
    inside = known[0, 0] == 0
    assert torch.equal(first[..., ~inside], picture[..., ~inside])
    assert not torch.equal(first[..., inside], second[..., inside])


def test_a_lightning_file_loads_strictly_and_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "small.ckpt"
    torch.save({"state_dict": {"generator.weight": torch.ones(1, 2), "generator.bias": torch.zeros(1)}}, path)
    net = resident(path, torch.device("cpu"), nn.Linear, "generator.", in_features=2, out_features=1)
    assert net(torch.ones(1, 2)).item() == 2
    with pytest.raises(ValueError, match=r"missing: 2 \(0.bias, 0.weight\)"):
        load_strictly(nn.Sequential(nn.Linear(2, 1)), read_tensors(path, "generator."), path)
    with pytest.raises(ValueError, match=r"shape: 1 \(weight\)"):
        load_strictly(nn.Linear(3, 1), read_tensors(path, "generator."), path)


def test_two_networks_of_one_file_are_two(tmp_path: Path) -> None:
    path = tmp_path / "both.ckpt"
    torch.save(
        {
            f"{name}.{part}": torch.full(shape, value)
            for name, value in (("a", 1.0), ("b", 2.0))
            for part, shape in (("weight", (1, 2)), ("bias", (1,)))
        },
        path,
    )
    first, second = (
        resident(path, torch.device("cpu"), nn.Linear, f"{name}.", in_features=2, out_features=1) for name in "ab"
    )
    assert (first(torch.ones(1, 2)).item(), second(torch.ones(1, 2)).item()) == (3, 6)


def test_a_pickled_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Path("x")}, path)
    with pytest.raises(ValueError, match="expected tensors alone"):
        read_tensors(path)
