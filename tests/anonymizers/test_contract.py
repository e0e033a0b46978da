"""The contract: every method at the corners of its ranges."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from anonymizers import ANONYMIZERS, Anonymizer, Context, Faces
from evaluators.demo.faces import people
from evaluators.demo.nets import load_demo_embedder
from evaluators.demo.protocol import faces_of
from tests.conftest import smooth_faces

APART = {"donors": 13, "refined": 5}
"""Of a method with many corners every so manieth is tried, at which each end of each range still occurs; of large
networks the first and the last."""
CORNERS: list[Anonymizer] = [
    kind(**dict(zip(kind.ranges(), values, strict=True)))
    for kind in ANONYMIZERS.values()
    for corners in [list(itertools.product(*(over.corners() for over in kind.ranges().values())))]
    for values in corners[:: len(corners) - 1 if kind.weights and len(corners) > 1 else APART.get(kind.method, 1)]
]


SMALL = ("cloak", "donors", "generator", "refined", "ganonymization", "ciagan", "deep_privacy2", "inswapper")
"""Methods that take long: they get few faces, with signals."""


@functools.cache
def crowd() -> Faces:
    """Render as many people as the largest average has."""
    return faces_of(people(31_000, 100, 1))


@functools.cache
def wide_crowd() -> Faces:
    """Return the same at twice the size."""
    images = functional.interpolate(crowd().images.float(), scale_factor=2, mode="bilinear").round().to(torch.uint8)
    return replace(crowd(), images=images)


def background_of(anonymizer: Anonymizer) -> Faces:
    return crowd() if anonymizer.background_needs else smooth_faces(8, 1, seed=9)


@functools.cache
def embed() -> Callable[[torch.Tensor], torch.Tensor]:
    return load_demo_embedder().embed


def wide(images: torch.Tensor) -> torch.Tensor:
    """Embed in 512 dimensions, as buffalo_l does."""
    return functional.normalize(embed()(images).repeat(1, 4), dim=1)


def context(anonymizer: Anonymizer, models: Path, background: Faces, **keywords: int) -> Context:
    swaps = anonymizer.method == "inswapper"
    return Context(
        models=models if anonymizer.weights else None,
        embed=wide if swaps else embed() if anonymizer.needs_embedder else None,
        embedder="buffalo_l" if swaps else "demo_embedder",
        background=background,
        **keywords,
    )


@pytest.mark.parametrize("anonymizer", CORNERS, ids=repr)
def test_contract(anonymizer: Anonymizer, faces: Faces, told: Faces, random_models: Path) -> None:
    if anonymizer.method in SMALL:
        faces = told.take(range(2 if anonymizer.weights or anonymizer.method in ("donors", "refined") else 6))
    before = faces.images.clone()
    own = functools.partial(context, anonymizer, random_models, background_of(anonymizer))
    released = anonymizer(faces, own(seed=3))
    assert torch.equal(faces.images, before)
    assert released.untyped_storage().data_ptr() != faces.images.untyped_storage().data_ptr()
    assert released.device == faces.images.device
    assert released.shape == faces.images.shape
    assert released.dtype == torch.uint8
    for batch_size in {min(size, len(faces)) for size in (1, 7, 128)}:
        assert torch.equal(released, anonymizer(faces, own(seed=3, batch_size=batch_size)))
    assert eval(repr(anonymizer), {kind.__name__: kind for kind in ANONYMIZERS.values()}) == anonymizer


@pytest.mark.parametrize("anonymizer", CORNERS, ids=repr)
def test_a_configuration_means_the_same_at_every_size(
    anonymizer: Anonymizer, faces: Faces, told: Faces, random_models: Path
) -> None:
    # k-Same needs 50 people in its corners, and exact doubling: interpolation turns near-ties between neighbors.
    k_same = anonymizer.method == "k_same"
    source = told if anonymizer.method in SMALL else faces
    some = range(0, 120, 2) if k_same else range(2, 4) if anonymizer.weights else range(4)
    small = source.take(some)
    mode = "nearest" if k_same else "bilinear"
    doubled = functional.interpolate(small.images.float(), scale_factor=2, mode=mode).round().to(torch.uint8)
    signals = dict(small.signals)
    if "parsing" in signals:
        signals["parsing"] = signals["parsing"].repeat_interleave(2, 1).repeat_interleave(2, 2)
    twice = replace(small, images=doubled, signals=signals)
    own = context(anonymizer, random_models, background_of(anonymizer))
    wide_own = replace(own, background=wide_crowd()) if anonymizer.background_needs else own
    if anonymizer.method == "noise":  # it is of every pixel's own: what must be equal is how strong it is
        strengths = [(anonymizer(some, own).float() - some.images).std() for some in (small, twice)]
        assert abs(strengths[0] - strengths[1]) < 0.05 * strengths[0] + 0.5
        return
    if anonymizer.method == "cloak":  # a pattern of signs turns on rounding; what must be equal is what it achieves
        cosines = []
        for some in (small, twice):
            cosines.append((embed()(some.images) * embed()(anonymizer(some, own))).sum(1).mean())
        assert abs(cosines[0] - cosines[1]) < 0.15
        return
    shrunk = functional.interpolate(anonymizer(twice, wide_own).float(), scale_factor=0.5, mode="area")
    # A drawn tone stretches what interpolation changes, and a network that gives averages contrast does so once more.
    most = {"donors": 5, "refined": 7}.get(anonymizer.method, 3)
    assert (shrunk - anonymizer(small, own).float()).abs().mean() < most


@pytest.mark.parametrize(
    "kind",
    [kind for name, kind in ANONYMIZERS.items() if kind.needs and name != "k_same"],  # who needs k people: its own test
    ids=lambda kind: kind.method,
)
def test_a_face_without_a_signal_is_black_and_one_never_measured_is_an_error(
    kind: type[Anonymizer], told: Faces, random_models: Path
) -> None:
    anonymizer = kind()
    own = context(anonymizer, random_models, crowd() if anonymizer.background_needs else told)
    signals = {name: signal[:2].clone() for name, signal in told.signals.items()}
    for signal in signals.values():
        signal[1] = torch.nan if signal.is_floating_point() else 255
    few = replace(told.take([0, 1]), signals=signals)
    released = anonymizer(few, own)
    assert released[0].any() and not released[1].any()
    assert torch.equal(released[:1], anonymizer(few.take([0]), own))
    with pytest.raises(ValueError, match=f"{kind.method}: expected faces with the signals .* were not measured"):
        anonymizer(replace(few, signals={}), own)


@pytest.mark.parametrize("kind", [kind for kind in ANONYMIZERS.values() if kind.weights], ids=lambda kind: kind.method)
def test_a_method_without_its_network_says_where_it_belongs_and_where_it_comes_from(
    kind: type[Anonymizer], told: Faces, tmp_path: Path
) -> None:
    path = re.escape(str(tmp_path / kind.weights))
    with pytest.raises(ValueError, match=f"{kind.method}: expected its network in {path}, which is missing; .*"):
        kind()(told, Context(models=tmp_path, embed=wide, embedder="buffalo_l"))
    with pytest.raises(ValueError, match="no folder of models was given; "):
        kind().network(None)
