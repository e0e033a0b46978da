"""The zoo: facts that hold together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluators.networks.catalog import choice
from evaluators.networks.catalog.conventions import EMBEDDERS, INSIGHTFACE, TEACHERS
from evaluators.networks.catalog.packages.shipped import SHIPPED
from evaluators.networks.catalog.published import DEFAULT_SET, TASKS, ZOO


def test_every_network_is_in_the_zoo_with_its_facts() -> None:
    assert set(ZOO) >= {*EMBEDDERS, *TEACHERS}
    assert {model.task for model in ZOO.values()} == set(TASKS)
    for name, model in ZOO.items():
        assert model.name == name and model.terms and model.source and model.family
        assert model.pullable or "no address" in model.source
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
    here = [ZOO[name].urls for name in choice.BACKBONES if ZOO[name].package is None]
    assert here == [(weight.url,) for weight in weights]


def test_every_package_is_pinned_and_has_a_client_and_a_conversion() -> None:
    from evaluators.networks.catalog.packages.clients import CLIENTS
    from evaluators.networks.catalog.packages.conversions.by_name import CONVERSIONS

    for name, package in SHIPPED.items():
        model = ZOO[name]
        assert model.package == package and str(package) in model.source
        assert package.registry in CLIENTS and package.conversion in ("", *CONVERSIONS)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in (package.archive_sha256, package.member_sha256))
        if not package.conversion:
            assert model.digests == (package.member_sha256,)


def test_the_default_set_is_complete_and_can_be_pulled() -> None:
    models = [ZOO[name] for name in DEFAULT_SET]
    assert all(model.package is not None and "non-commercial" not in model.terms for model in models)
    tasks = [model.task for model in models]
    assert tasks.count("expression") == 3 and {"detection", "perceptual", "signals"} <= set(tasks)
    identity = [model.family for model in models if model.task == "identity"]
    assert len(identity) == len(set(identity)) == 2
