"""The zoo: facts that hold together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluators.networks.catalog import choice
from evaluators.networks.catalog.conventions import EMBEDDERS, INSIGHTFACE, TEACHERS
from evaluators.networks.catalog.published import TASKS, ZOO


def test_every_network_is_in_the_zoo_with_its_facts() -> None:
    assert set(ZOO) >= {*EMBEDDERS, *TEACHERS}
    assert {model.task for model in ZOO.values()} == set(TASKS)
    for name, model in ZOO.items():
        assert model.name == name and model.terms and model.source and model.family
        assert model.urls or "no address" in model.source
        assert all(re.fullmatch(r"https://\S+", url) for url in model.urls)
        for digest in (model.sha256, model.archive_sha256):
            assert digest is None or re.fullmatch("[0-9a-f]{64}", digest), name
        assert (model.archive_sha256 is not None) == (name in INSIGHTFACE)
        assert not Path(model.path).is_absolute()
    files = [model.path for model in ZOO.values()]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("name", ["lpips_alex", "lpips_squeeze", "lpips_vgg", "fid_inception"])
def test_a_name_that_carries_digits_of_the_checksum_agrees_with_it(name: str) -> None:
    model = ZOO[name]
    digits = re.search(r"-([0-9a-f]{8})\.pth$", model.path)
    assert digits and model.sha256 is not None and model.sha256.startswith(digits[1])
    assert all(url.endswith(Path(model.path).name) for url in model.urls)


def test_torchvision_names_the_same_addresses() -> None:
    from torchvision import models

    weights = [
        models.AlexNet_Weights.IMAGENET1K_V1,
        models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
        models.VGG16_Weights.IMAGENET1K_V1,
    ]
    assert [ZOO[name].urls for name in choice.BACKBONES] == [(weight.url,) for weight in weights]
