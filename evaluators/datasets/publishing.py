"""Publishing: what becomes of released pictures before anybody attacks or reads them."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

FORM = re.compile(r"png|jpeg:(?P<quality>[1-9]\d?|100)|scale:(?P<scale>0?\.\d+|1)")


def publishing(text: str) -> Callable[[Tensor], Tensor] | None:
    """Return the map of (N, 3, S, S) uint8 released pictures to those that are published; None where they are the same.

    Args:
        text: png, which loses nothing, jpeg:QUALITY of 1 to 100, or scale:FACTOR, made so much smaller.

    Raises:
        ValueError: if it is something else.
    """
    found = FORM.fullmatch(text)
    if found is None or (found["scale"] and float(found["scale"]) == 0):
        raise ValueError(f"--publish: expected png, jpeg:QUALITY of 1 to 100 or scale:FACTOR of 0 to 1, got {text!r}")
    if found["quality"]:
        return functools.partial(jpeg, quality=int(found["quality"]))
    if found["scale"] and float(found["scale"]) < 1:
        return functools.partial(scaled, factor=float(found["scale"]))
    return None


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Compress and decompress (N, 3, S, S) uint8 pictures one by one, with halved colors as PIL's default has them."""
    out = torch.empty_like(images, device="cpu")
    for place, image in enumerate(images.cpu()):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file, "JPEG", quality=quality)
        out[place] = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
    return out.to(images.device)


def scaled(images: Tensor, factor: float) -> Tensor:
    """Make (N, 3, S, S) uint8 pictures smaller by area, and as large as before for those who look at them."""
    size = images.shape[-1]
    small = functional.interpolate(images.float(), size=(max(1, round(size * factor)),) * 2, mode="area")
    small = small.round()  # what is published are bytes
    large = functional.interpolate(small, size=(size, size), mode="bicubic", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8)
