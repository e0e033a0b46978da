"""Publishing: what becomes of released pictures before anybody attacks or reads them."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch, which whoever reads an option does without
    from torch import Tensor

FORM = re.compile(r"png|jpeg:(?P<quality>[1-9]\d?|100)|scale:(?P<scale>0?\.\d*[1-9]\d*)")
FORMS = "jpeg:QUALITY of 1 to 100, or scale:FACTOR between 0 and 1"


def is_publishing(text: str) -> bool:
    """Tell a way of publishing from a misspelled one."""
    return FORM.fullmatch(text) is not None


def publishing(text: str) -> Callable[[Tensor], Tensor] | None:
    """Return the map of (N, 3, S, S) uint8 released pictures to those that are published; None where they are the same.

    Args:
        text: png, which loses nothing, jpeg:QUALITY of 1 to 100, or scale:FACTOR, made so much smaller.

    Raises:
        ValueError: if it is something else.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"--publish: expected png, {FORMS}, got {text!r}")
    if found["quality"]:
        return functools.partial(jpeg, quality=int(found["quality"]))
    return functools.partial(scaled, factor=float(found["scale"])) if found["scale"] else None


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Compress and decompress (N, 3, S, S) uint8 pictures one by one, with halved colors as PIL's default has them."""
    import numpy as np
    import torch
    from PIL import Image

    out = torch.empty_like(images, device="cpu")
    for place, image in enumerate(images.cpu()):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file, "JPEG", quality=quality)
        out[place] = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
    return out.to(images.device)


def scaled(images: Tensor, factor: float) -> Tensor:
    """Make (N, 3, S, S) uint8 pictures smaller by area, and as large as before for those who look at them."""
    import torch
    from torch.nn import functional

    size = images.shape[-1]
    small = functional.interpolate(images.float(), size=(max(1, round(size * factor)),) * 2, mode="area")
    small = small.round()  # what is published are bytes
    large = functional.interpolate(small, size=(size, size), mode="bicubic", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8)
