"""The shown reader: he has seen faces, clear and degraded, but never this method.

A reader who learns the method reads any code that it writes: squares and bar codes too. This one has the same heads,
trained once on clear faces and under a fixed bank of degradations; for a method he takes the entry whose features look
most like those of the anonymized attacker faces, of which he sees no label.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonymizers import Anonymizer, Blackout, Blur, Context, Faces, Pixelate
from evaluators.readers.heads import Head, fit_heads
from evaluators.readers.sight import Sight

JPEG_QUALITY = 20
NOISE = 25.0
"""Deviation of the bank's noise, gray levels."""


@dataclass(frozen=True, eq=False)
class Entry:
    """Hold what the reader learned of one degradation: heads, and what its features look like, (F,) each."""

    name: str
    heads: Mapping[str, Head]
    mean: Tensor
    deviation: Tensor


def shown(sight: Sight) -> Mapping[str, Tensor]:
    """Read every judge's description of the clear probes, see `READERS`."""
    entry = nearest(sight.bank, sight.attacker)
    return {name: head(sight.probe) for name, head in entry.heads.items()}


def nearest(bank: Sequence[Entry], features: Tensor) -> Entry:
    """Return the entry whose features are nearest to (A, F) others, by means and log deviations of each feature."""
    mean, deviation = features.mean(0), features.std(0, correction=0)

    def distance(entry: Entry) -> float:
        floor = entry.deviation.median() * 0.1 + 1e-6
        spread = torch.maximum(entry.deviation, floor)
        moved = ((mean - entry.mean) / spread).square()
        ratio = ((deviation + floor) / (entry.deviation + floor)).log().square()
        return float((moved + ratio).mean())

    return min(bank, key=distance)


def entry_of(
    name: str, features: Tensor, targets: Mapping[str, Tensor], person: Tensor, blocks: Sequence[int]
) -> Entry:
    """Learn one entry of the bank, see `fit_heads` for the arguments.

    Coefficients are centered on these faces: who sees nothing says the mean of all attacker people, 0, and not that of
    the few whom the entry was learned on.
    """
    centered = {name: said - said.mean(0) if said.is_floating_point() else said for name, said in targets.items()}
    heads = fit_heads(features, centered, person, blocks)
    return Entry(name, heads, features.mean(0), features.std(0, correction=0))


def degradations(seed: int) -> dict[str, Callable[[Faces], Tensor]]:
    """Return the bank: name -> map of faces to (N, 3, S, S) uint8 pictures."""
    context = Context(seed=seed)
    methods: list[Anonymizer] = [Blur(kernel=kernel) for kernel in (15, 41, 87)]
    methods += [*(Pixelate(block=block) for block in (6, 12, 24)), Blackout()]  # of black he has learned nothing to see
    bank = {repr(method): functools.partial(method, context=context) for method in methods}
    return {**bank, f"JPEG of quality {JPEG_QUALITY}": _jpeg, "noise": functools.partial(_noise, seed=seed)}


def _jpeg(faces: Faces) -> Tensor:
    """Compress and decompress."""
    out = []
    for image in faces.images.cpu():
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file, "JPEG", quality=JPEG_QUALITY)
        out.append(torch.from_numpy(np.array(Image.open(file))))
    return torch.stack(out).permute(0, 3, 1, 2).contiguous().to(faces.images.device)


def _noise(faces: Faces, seed: int) -> Tensor:
    """Add normal noise, drawn on the CPU."""
    grain = torch.randn(faces.images.shape, generator=torch.Generator().manual_seed(seed)).to(faces.images.device)
    return (faces.images + NOISE * grain).round().clamp(0, 255).to(torch.uint8)
