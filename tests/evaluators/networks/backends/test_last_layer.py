"""The last layer of a teacher, found and declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluators.networks.backends.last_layer import last_layer
from evaluators.networks.backends.onnx_nets import OnnxTeacher
from evaluators.networks.catalog import conventions
from evaluators.networks.catalog.conventions import TEACHERS
from tests.helpers import tiny_nets


def test_a_file_without_one_last_layer_is_refused(tmp_path: Path) -> None:
    tiny_nets.embedder(tmp_path / "own.onnx")
    with pytest.raises(ValueError, match=r"--teacher: expected own\.onnx to end in one layer with weights, got none"):
        last_layer(tmp_path / "own.onnx")


@pytest.mark.real
@pytest.mark.parametrize("name", ["facex", "mini_xception"])
def test_the_last_layer_that_is_found_is_the_declared_one(
    name: str, shared: Path, crops: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = shared / "models"
    declared = OnnxTeacher(models, name, threads=1)(crops)
    monkeypatch.setitem(conventions.TEACHERS, name, replace(TEACHERS[name], features=""))
    found = OnnxTeacher(models, name, threads=1)(crops)
    torch.testing.assert_close(found.logits, declared.logits)
    # The layer of facex reads all pixels of the map that is declared, that of mini_xception their mean.
    per_feature = found.features.shape[1] / declared.features.shape[1]
    assert per_feature == {"facex": 36, "mini_xception": 1}[name]
    torch.testing.assert_close(found.features.sum(1), declared.features.sum(1) * per_feature, rtol=1e-4, atol=1e-3)
