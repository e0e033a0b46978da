"""Inception as FID and KID are defined on: TensorFlow's network of 2015-12-05, in torchvision's architecture.

Sources: Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 2017
(https://arxiv.org/abs/1706.08500); the differences from torchvision's network are those that pytorch-fid and
torch-fidelity document: 1008 classes, pools that do not count the padding, a last pool that takes the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 299
BATCH = 32


class FidInception(nn.Module):
    """Give the 2048 features of the last pool."""

    name = "fid_inception"

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Load the weights, strictly.

        Args:
            state: of pytorch-fid's file, 566 tensors.

        Raises:
            ValueError: if they are another network's.
        """
        super().__init__()
        from torchvision.models.inception import InceptionE, inception_v3  # imports torch's compiler, for seconds

        class LastBlock(InceptionE):  # type: ignore[misc]
            """Pool the maximum where torchvision's block pools the mean."""

            def _forward(self, x: Tensor) -> list[Tensor]:
                three, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
                return [
                    self.branch1x1(x),
                    torch.cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1),
                    torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
                    self.branch_pool(functional.max_pool2d(x, kernel_size=3, stride=1, padding=1)),
                ]

        with torch.device("meta"):
            net = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
            net.Mixed_7c = LastBlock(2048)
        expected = {key: tuple(value.shape) for key, value in net.state_dict().items()}
        if (got := {key: tuple(value.shape) for key, value in state.items()}) != expected:
            raise ValueError(
                f"fid_inception: expected the {len(expected)} tensors of pytorch-fid's Inception, got {len(got)} of "
                f"which {len(got.items() & expected.items())} fit; pull it again"
            )
        net.load_state_dict({key: value.clone() for key, value in state.items()}, assign=True)
        for block in (net.Mixed_5b, net.Mixed_5c, net.Mixed_5d, net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e):
            block.branch_pool.register_forward_pre_hook(_without_padding)
        net.Mixed_7b.branch_pool.register_forward_pre_hook(_without_padding)
        net.fc = nn.Identity()
        self.net = net.requires_grad_(False).eval()

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) uint8 RGB pictures in [0, 255] to (N, 2048) float32 features, at least 0."""
        parts = [self.net((resize(part.float()) - 128) / 128) for part in images.split(BATCH)]
        return torch.cat(parts)


def resize(images: Tensor) -> Tensor:
    """Resize as TensorFlow 1 did, whose bilinear samples lie at multiples of the scale from the corner.

    Args:
        images: (N, C, H, W) float32.

    Returns:
        (N, C, 299, 299) float32, in the range of the images.
    """
    for dim in (2, 3):
        size = images.shape[dim]
        at = torch.arange(SIDE, device=images.device) * (size / SIDE)
        low = at.long()
        weight = (at - low).to(images.dtype).view(-1, 1) if dim == 2 else (at - low).to(images.dtype)
        a, b = images.index_select(dim, low), images.index_select(dim, (low + 1).clamp_max(size - 1))
        images = a + (b - a) * weight
    return images


def _without_padding(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Turn means over 3 x 3 pixels that count the padding as 0 into means over the pixels that are there."""
    (x,) = inputs
    ones = torch.ones(1, 1, *x.shape[2:], device=x.device, dtype=x.dtype)
    return (x / functional.avg_pool2d(ones, kernel_size=3, stride=1, padding=1),)
