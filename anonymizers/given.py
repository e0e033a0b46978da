"""What the generator's encoder sees of a face: a low-frequency picture, and the signals as maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.conditioning import channels, drawn
from anonymizers.faces import Faces
from anonymizers.nets.noisy_unet import INPUT


def inputs(conditioning: str) -> int:
    """Return the number of channels that `given` has."""
    return 3 + channels(conditioning)


def given(faces: Faces, conditioning: str, context: int) -> Tensor:
    """Draw what the encoder sees.

    Args:
        faces: N faces with the signals of the conditioning.
        conditioning: of CONDITIONINGS.
        context: side of the low-frequency picture, px.

    Returns:
        (N, C, 56, 56) float32 in [0, 1]: RGB of the low-frequency picture, then the maps.
    """
    low = functional.interpolate(faces.images.float() / 255, size=(context, context), mode="area")
    low = functional.interpolate(low, size=(INPUT, INPUT), mode="nearest")
    return torch.cat((low, drawn(faces, conditioning, INPUT)), 1)
