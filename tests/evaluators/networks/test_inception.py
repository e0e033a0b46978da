"""The Inception network of FID and KID."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from evaluators.networks import inception, loaders
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.inception import FidInception
from tests.helpers.tiny_nets import NOISE


def test_what_is_pickled_beside_tensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ZOO["fid_inception"]
    path = tmp_path / model.path
    path.parent.mkdir()
    torch.save({"weight": Path("anything")}, path)
    monkeypatch.setitem(ZOO, model.name, replace(model, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        loaders.load_inception(tmp_path)


def test_inceptions_pools_do_not_count_the_padding() -> None:
    x = torch.rand(2, 3, 5, 6)
    (got,) = inception._without_padding(torch.nn.Identity(), (functional.avg_pool2d(x, 3, 1, 1),))
    torch.testing.assert_close(got, functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


@pytest.mark.parametrize("side", [112, 299, 600])
def test_inceptions_pictures_are_sampled_from_the_corner(side: int) -> None:
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    expected = (torch.arange(299) * side / 299).clamp_max(side - 1)
    torch.testing.assert_close(inception.resize(ramp)[0, 0, 7], expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(inception.resize(ramp.mT)[0, 0, :, 7], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
def test_inception_takes_566_tensors_and_nothing_else() -> None:
    from torchvision.models import inception_v3

    state = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    assert len(state) == 566
    features = FidInception(state)(NOISE[:2])
    assert features.shape == (2, 2048) and features.isfinite().all() and (features >= 0).all()
    with pytest.raises(
        ValueError, match="expected the 566 tensors of pytorch-fid's Inception, got 565 of which 565 fit"
    ):
        FidInception({key: value for key, value in state.items() if key != "fc.bias"})
