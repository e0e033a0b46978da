"""Compare the pictures themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from anonymizers.signals import five, with_signals
from evaluators.attackers.evidence import Evidence
from evaluators.measuring.tally import Tally
from evaluators.metrics import realism
from evaluators.metrics.distribution import frechet, kid
from evaluators.networks.roles import Found, Nets, Perceptual

KEPT_BYTES = 4 * 2**30
"""Most that a perceptual net's features of the originals may take; beyond, they are computed anew, in streams."""
STREAMED = 256


@dataclass(frozen=True, eq=False)
class Originals:
    """Hold what never changes about the clear probes as pictures.

    Attributes:
        perceptual: name of each perceptual net -> its features; None where they would take too much memory.
        ssim: local means and variances.
        found: what the detector finds; None without one.
        inception: (N, F) features; None without the network.
    """

    perceptual: Mapping[str, tuple[Tensor, ...] | None]
    ssim: realism.SsimStatistics
    found: Found | None
    inception: Tensor | None


def originals_of(images: Tensor, nets: Nets) -> Originals:
    """Look once at the clear probes, (N, 3, S, S) uint8."""
    return Originals(
        {net.name: _kept(net, images) for net in nets.perceptual},
        realism.ssim_statistics(images),
        nets.detector(images) if nets.detector else None,
        nets.inception(images) if nets.inception else None,
    )


def measure(evidence: Evidence, tally: Tally, originals: Originals) -> None:
    """Put the columns of the pictures themselves into a tally.

    Args:
        evidence: of one configuration.
        tally: that takes the values.
        originals: what is known of the clear probes.
    """
    clear, nets = evidence.clear, evidence.nets
    for net in nets.perceptual:
        kept = originals.perceptual[net.name]
        if kept is not None:
            tally.mean(net.name, net.distance_to(kept, evidence.probe))
        else:
            pairs_of = zip(clear.probe.images.split(STREAMED), evidence.probe.split(STREAMED), strict=True)
            tally.mean(net.name, torch.cat([net.distance_to(net.features(a), b) for a, b in pairs_of]))
    tally.mean("ssim", realism.ssim(evidence.probe, originals.ssim))
    error = realism.mse(clear.probe.images, evidence.probe)
    tally.mean("mse", error)
    tally.values["psnr"] = realism.psnr(float(error.mean()))
    _signals(evidence, tally, originals)
    scales = realism.ms_ssim(evidence.probe, clear.probe.images)
    if scales is not None:
        tally.mean("ms_ssim", scales)
    tally.values["frechet_embedding"] = frechet(clear.probe_embedding, evidence.probe_embedding)
    if nets.inception is not None and originals.inception is not None:
        released = nets.inception(evidence.probe)
        tally.values["fid"] = frechet(originals.inception, released)
        tally.values["kid"] = kid(originals.inception, released)
    if (found := evidence.probe_found) is not None and originals.found is not None:
        tally.rate("detection_rate", found.found.double().cpu())
        tally.values["landmark_nme"] = realism.landmark_nme(originals.found, found)


def _signals(evidence: Evidence, tally: Tally, originals: Originals) -> None:
    """Say how good the signals are that the method was conditioned on, where it was on any."""
    needed, probe = evidence.anonymizer.needed(), evidence.clear.probe
    if not needed:
        return
    tally.rate("signal_share", with_signals(probe, needed, evidence.anonymizer.method).double())
    if "landmarks68" in needed and originals.found is not None:
        points = five(probe.signals["landmarks68"].cpu()) * probe.scale
        seen = Found(points.isfinite().flatten(1).all(1), points.nan_to_num())
        tally.values["signal_nme"] = realism.landmark_nme(originals.found, seen)


def _kept(net: Perceptual, images: Tensor) -> tuple[Tensor, ...] | None:
    """Return a net's features of the originals, or None if they would take too much memory."""
    each = sum(stage.nbytes for stage in net.features(images[:1]))
    return net.features(images) if each * len(images) <= KEPT_BYTES else None
