"""The shown reader: he has seen faces, clear and degraded, but never this method.

A reader who learns the method reads any code that it writes: squares and bar codes too. This one has the same heads,
trained once on clear faces and on the same under a fixed bank of degradations. Each degradation's features are
standardized by themselves, and so are those of a method, by its anonymized attacker faces, of which he sees no label:
a network that meets pictures unlike its own answers on another scale, but moves in the same directions (as Li et al.,
2017, https://arxiv.org/abs/1603.04779, do for batch normalization). What varies less than it does under any degradation
is not stretched to that: a code may move a feature a little, where faces move it much.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anonymizers import Anonymizer, Blur, Context, Faces, Pixelate
from evaluators.datasets.publishing import jpeg
from evaluators.readers.heads import Head, Scale, fit_heads, scale_of
from evaluators.readers.sight import Sight

JPEG_QUALITY = 20
NOISE = 25.0
"""Deviation of the bank's noise, gray levels."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Hold the features of one degradation of n faces.

    Attributes:
        features: (n, F) float32, standardized by themselves.
        scale: that they were standardized by.
        targets: judge -> what he says of the clear faces.
        person: (n,) int64, whose they are.
    """

    features: Tensor
    scale: Scale
    targets: Mapping[str, Tensor]
    person: Tensor


@dataclass(frozen=True, eq=False)
class Learned:
    """Hold what the shown reader learned: judge -> head, and (F,) the least deviation of each feature in the bank."""

    heads: Mapping[str, Head]
    least: Tensor


def shown(sight: Sight) -> Mapping[str, Tensor]:
    """Read every judge's description of the clear probes, see `READERS`."""
    scale = scale_of(sight.attacker, sight.blocks)
    scale = Scale(scale.mean, torch.maximum(scale.deviation, sight.shown.least))
    return {name: head(scale(sight.probe)) for name, head in sight.shown.heads.items()}


def seen(features: Tensor, targets: Mapping[str, Tensor], person: Tensor, blocks: Sequence[int]) -> Shown:
    """Standardize the features of one degradation, see `fit_heads` for the arguments.

    Coefficients are centered on these faces: who sees nothing says the mean of all attacker people, 0, and not that of
    the few who are degraded.
    """
    centered = {name: said - said.mean(0) if said.is_floating_point() else said for name, said in targets.items()}
    scale = scale_of(features, blocks)
    return Shown(scale(features), scale, centered, person)


def learn(bank: Sequence[Shown], blocks: Sequence[int]) -> Learned:
    """Fit one head for every judge on all that was shown."""
    targets = {judge: torch.cat([one.targets[judge] for one in bank]) for judge in bank[0].targets}
    features = torch.cat([one.features for one in bank])
    heads = fit_heads(features, targets, torch.cat([one.person for one in bank]), blocks)
    return Learned(heads, torch.stack([one.scale.deviation for one in bank]).amin(0))


def degradations(seed: int) -> dict[str, Callable[[Faces], Tensor]]:
    """Return the bank: name -> map of faces to (N, 3, S, S) uint8 pictures."""
    context = Context(seed=seed)
    methods: list[Anonymizer] = [Blur(kernel=kernel) for kernel in (15, 41, 87)]
    methods += [Pixelate(block=block) for block in (6, 12, 24)]
    bank = {repr(method): functools.partial(method, context=context) for method in methods}
    compressed = {f"JPEG of quality {JPEG_QUALITY}": lambda faces: jpeg(faces.images, JPEG_QUALITY)}
    return {**bank, **compressed, "noise": functools.partial(_noise, seed=seed)}


def _noise(faces: Faces, seed: int) -> Tensor:
    """Add normal noise, drawn on the CPU."""
    grain = torch.randn(faces.images.shape, generator=torch.Generator().manual_seed(seed)).to(faces.images.device)
    return (faces.images + NOISE * grain).round().clamp(0, 255).to(torch.uint8)
