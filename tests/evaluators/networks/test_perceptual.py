from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor

from evaluators.networks.perceptual import BATCH, LPIPS, STAGES, STLPIPS
from evaluators.networks.roles import Perceptual
from tests.places import SHARED


def pictures(count: int = 3, height: int = 64, width: int = 64, seed: int = 0) -> Tensor:
    """Half noise, half smooth."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255).to(torch.uint8)
    return torch.cat([noise, smooth])


def floats(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Small pictures gain nothing from more, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def st_lpips() -> STLPIPS:
    return STLPIPS()


@pytest.mark.parametrize("backbone", STAGES)
def test_lpips_is_the_authors(backbone: str) -> None:
    import lpips

    torch.manual_seed(0)
    theirs = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    # Their trunk numbers its layers as torchvision does, stage by stage.
    state = {f"features.{key.split('.', 1)[1]}": value for key, value in theirs.net.state_dict().items()}
    mine = LPIPS(backbone, backbone_state=state)
    a, b = pictures(2, seed=1), pictures(2, seed=2)
    with torch.no_grad():
        expected = theirs(floats(a), floats(b)).flatten()
    assert torch.allclose(mine.distance_to(mine.features(a), b), expected, atol=1e-5, rtol=1e-5)
    assert expected.min() > 1e-3
    assert mine.name == "lpips"
    other = {**state, "features.0.bias": state["features.0.bias"] + 1}
    assert LPIPS(backbone, other).digest != mine.digest == LPIPS(backbone, state).digest


def test_lpips_takes_torchvisions_state_and_leaves_the_classifier() -> None:
    network = torchvision.models.squeezenet1_1(weights=None)
    net = LPIPS(backbone="squeeze", backbone_state=network.state_dict())
    images = pictures(1)
    assert torch.allclose(net.distance_to(net.features(images), images), torch.zeros(2))


def test_lpips_refuses_another_networks_state() -> None:
    with pytest.raises(ValueError, match=r"expected a backbone of \['alex', 'squeeze', 'vgg'\], got 'resnet'"):
        LPIPS("resnet", {})
    with pytest.raises(ValueError, match="state of torchvision's alexnet"):
        LPIPS("alex", torchvision.models.squeezenet1_1(weights=None).state_dict())


@pytest.mark.parametrize("size", [(64, 64), (112, 112), (63, 63), (64, 71), (71, 64)])
def test_st_lpips_is_the_authors(st_lpips: STLPIPS, published: Any, size: tuple[int, int]) -> None:
    a, b = pictures(2, *size, seed=1), pictures(2, *size, seed=2)
    with torch.no_grad():
        expected = published(floats(a), floats(b)).flatten()
        stages = published.net(published.scaling_layer(floats(a)))
    found = st_lpips.distance_to(st_lpips.features(a), b)
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert expected.min() > 1e-3
    for mine, theirs in zip(st_lpips.features(a), stages, strict=True):
        unit = theirs / (theirs.square().sum(1, keepdim=True).sqrt() + 1e-10)
        assert mine.shape == unit.shape
        assert torch.allclose(mine, unit, atol=1e-4)


def test_distances_agree_in_every_form(st_lpips: STLPIPS) -> None:
    count = BATCH // 2 + 1
    a, b = pictures(count, 32, 32, seed=1), pictures(count, 32, 32, seed=2)
    before = a.clone(), b.clone()
    features = st_lpips.features(a)
    kept = [stage.clone() for stage in features]
    distance = st_lpips.distance_to(features, b)
    assert distance.shape == (len(a),) and distance.dtype == torch.float32
    assert torch.allclose(st_lpips.distance(features, st_lpips.features(b)), distance, atol=1e-6)
    assert torch.allclose(st_lpips(floats(a), floats(b)), distance, atol=1e-6)
    assert torch.allclose(st_lpips.distance_to(st_lpips.features(b), a), distance, atol=1e-6)
    assert st_lpips.distance_to(features, a).abs().max() == 0
    for stage in features:
        norm = stage.norm(dim=1)
        assert torch.allclose(norm[norm > 0.5], torch.ones(()), atol=1e-5)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])
    assert all(torch.equal(x, y) for x, y in zip(features, kept, strict=True))


def test_the_distance_has_a_gradient_for_pictures_only(st_lpips: STLPIPS) -> None:
    a = floats(pictures(1, 40, 40, seed=1)).requires_grad_()
    st_lpips(a, floats(pictures(1, 40, 40, seed=2))).sum().backward()
    assert a.grad is not None and a.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in st_lpips.parameters())


def test_nets_are_what_a_panel_takes(st_lpips: STLPIPS) -> None:
    assert isinstance(st_lpips, Perceptual)
    assert st_lpips.name == "st_lpips"
    with pytest.raises(ValueError, match="as many pictures as originals, 4, got 2"):
        st_lpips.distance_to(st_lpips.features(pictures(2, 32, 32)), pictures(1, 32, 32))


def test_st_lpips_refuses_other_weights(tmp_path: Path, st_lpips: STLPIPS) -> None:
    path = tmp_path / "other.pth"
    torch.save({"net.slice1.0.weight": torch.zeros(64, 3, 11, 11)}, path)
    with pytest.raises(ValueError, match="expected the 20 tensors of ST-LPIPS on AlexNet"):
        STLPIPS(path)


@pytest.mark.real
def test_the_packages_weights_are_those_of_the_test_data(st_lpips: STLPIPS) -> None:
    path = SHARED / "models" / "perceptual" / "st_lpips_alex.pth"
    if not path.exists():
        pytest.skip("the test data are not here")
    other = STLPIPS(path)
    assert other.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    mine, theirs = st_lpips.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
