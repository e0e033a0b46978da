"""What packages ship, converted: the same networks as the test data's, by the registries that answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.loaders import load_lpips
from tests.helpers.pulled import pulled_network


def answers(path: Path, outputs: list[str], x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    model = onnx.load(path)
    if outputs:
        del model.graph.output[:]
        model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: x})
    return found


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("name", ["faceapi", "mini_xception", "facex", "mobilefacenet_192"])
def test_a_converted_network_says_what_the_test_datas_says(name: str, shared: Path) -> None:
    fed = (EMBEDDERS | TEACHERS)[name]
    outputs = [fed.logits, fed.features] if fed.classes else []
    rng = np.random.default_rng(0)
    x = (rng.uniform(0, 255, (3, fed.size, fed.size, 1 if fed.gray else 3)) - fed.mean) / fed.scale
    x = x if fed.channels_last else x.transpose(0, 3, 1, 2)
    mine = answers(pulled_network(name) / fed.path, outputs, x.astype(np.float32))
    theirs = answers(shared / "models" / fed.path, outputs, x.astype(np.float32))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_lpips_is_the_authors_with_the_packages_backbone_and_heads() -> None:
    import lpips

    folder = pulled_network("lpips_alex_jax")
    state = load_file(folder / ZOO["lpips_alex_jax"].path)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trunk = {key: state[f"features.{key.split('.', 1)[1]}"] for key in theirs.net.state_dict()}
    theirs.net.load_state_dict(trunk)
    for stage in range(5):  # version 0.1's, which the package `lpips` brings
        assert torch.equal(theirs.state_dict()[f"lin{stage}.model.1.weight"].flatten(), state[f"lin{stage}"])
    mine = load_lpips(folder, "lpips_alex_jax")
    a, b = torch.randint(0, 256, (2, 3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    b[1:] = (a[1:].float() * 0.8 + 20).to(torch.uint8)
    with torch.no_grad():
        expected = theirs(a.float() / 127.5 - 1, b.float() / 127.5 - 1).flatten()
    torch.testing.assert_close(mine.distance_to(mine.features(a), b), expected, atol=1e-5, rtol=1e-5)
    assert expected.min() > 1e-3
