from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, of_face, padded
from anonymizers.classical.regions import mask
from anonymizers.faces import Faces
from anonymizers.generative.nets.deep_privacy2_net import STYLE, DeepPrivacy2Generator
from anonymizers.generative.resident import CENTERS, opened, read_tensors, resident
from anonymizers.ranges import Choice, Integer, Real, ranged

SIDE = 128
BATCH = 2
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape."""


@dataclass(frozen=True)
class DeepPrivacy2(Anonymizer):
    """Fill the face with one drawn from noise, to fit what is around it; its expression is not that of the source.

    Source: Hukkelås and Lindseth, DeepPrivacy2, WACV 2023 (https://arxiv.org/abs/2211.09454), its face generator for
    128 px; multi-modal truncation after Mokady et al., Self-distilled StyleGAN, 2022 (https://arxiv.org/abs/2202.12211).
    Hidden is the face ellipse of the aligned crop (`regions.py`), which shows less around the face than their crop.

    Attributes:
        truncation: 1 takes the style as drawn, 0 the mean style, or the center of a cluster.
        modes: "one" truncates towards the mean style, "many" towards one of the cluster centers of the file.
        latent: number of the draw; everything else of it comes from the secret seed and the face's key.
    """

    method: ClassVar[str] = "deep_privacy2"
    weights: ClassVar[str] = "generation/deep_privacy2_fdf128.ckpt"
    weights_from: ClassVar[str] = (
        "python -m orchestrator.models pull deep_privacy2 gets it, from the address that its authors give in "
        "configs/fdf/stylegan_fdf128.py of github.com/hukkelas/deep_privacy2 (MD5 bccd4403e7c9bca682566ff3319e8176)"
    )
    truncation: float = ranged(Real(0.0, 1.0), default=1.0)
    modes: str = ranged(Choice(("one", "many")), default="one")
    latent: int = ranged(Integer(0, 9_999), default=0)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Hide the face, draw a style, fill.

        Raises:
            ValueError: if the network is missing, or "many" is asked of a file without cluster centers.
        """
        path = self.weights_file(context.models)
        device = faces.images.device
        net = resident(path, device, DeepPrivacy2Generator, ignored=(f"style_net.{CENTERS}",))
        assert isinstance(net, DeepPrivacy2Generator)
        known = (~mask("face", SIDE, device)).float().expand(BATCH, 1, -1, -1)
        centers = self._centers(path, net)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            images = faces.images[part].float() / 127.5 - 1
            seen = functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=faces.size > SIDE)
            seen = padded(seen, BATCH) * known
            draws = [of_face(key, context.seed, f"deep_privacy2/{self.latent}") for key in faces.key[part]]
            noise = torch.stack([torch.randn(STYLE, generator=draw) for draw in draws])
            place = torch.tensor([int(torch.randint(len(centers), (), generator=draw)) for draw in draws])
            noise, place = (padded(x, BATCH).to(device) for x in (noise, place))
            with torch.no_grad():
                style = centers[place].lerp(net.style_net(noise), self.truncation)
                drawn = net(seen, known, style)[: len(images)]
            small = functional.interpolate(drawn, size=(faces.size, faces.size), mode="bilinear", antialias=True)
            merged = torch.where(mask("face", faces.size, device), small, images)
            out[part] = ((merged + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        return out

    def _centers(self, path: Path, net: DeepPrivacy2Generator) -> Tensor:
        """Return the (K, 512) styles towards which is truncated."""
        mean = net.style_net.get_buffer("w_avg")
        if self.modes == "one":
            return mean[None]
        centers: Tensor | None = opened(path, _centers)
        if centers is None:
            raise ValueError(
                f"{self!r}: expected cluster centers of the styles in {path} (w_centers), it has none; compute them "
                "with tools/compute_cluster_means.py of its repository, or choose modes = one"
            )
        return centers.to(mean)


def _centers(path: str) -> Tensor | None:
    """Read the cluster centers of a file; None where it has none."""
    return read_tensors(Path(path)).get(f"style_net.{CENTERS}")
