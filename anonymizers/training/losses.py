"""Losses of the generator; pure functions, each a mean over faces."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

EXPRESSION_LOSSES = ("none", "kd_logit", "feature", "both")
TEMPERATURE = 2.0


def kd_logit(answered: Tensor, reference: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Compute the distillation loss between the teacher's answers to the source and to the drawn face.

    Source: Hinton et al., Distilling the knowledge in a neural network, 2015 (https://arxiv.org/abs/1503.02531).

    Args:
        answered: (N, C) float32 logits on the drawn faces.
        reference: (N, C) float32 logits on the sources.
        temperature: of both.

    Returns:
        nats times the squared temperature, at least 0.
    """
    p = (reference / temperature).log_softmax(1)
    q = (answered / temperature).log_softmax(1)
    return (p.exp() * (p - q)).sum(1).mean() * temperature**2


def feature(answered: Tensor, reference: Tensor) -> Tensor:
    """Compute 1 − cosine between the teacher's features, (N, F) float32 each, of drawn faces and sources, in [0, 2].

    Source: Romero et al., FitNets, ICLR 2015 (https://arxiv.org/abs/1412.6550), with a cosine for the distance.
    """
    return 1 - functional.cosine_similarity(answered, reference, dim=1).mean()


def expression(kind: str, answered: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> Tensor:
    """Compute one of EXPRESSION_LOSSES.

    Args:
        kind: which; "both" is the sum of the other two.
        answered, reference: logits (N, C) and features (N, F) of the drawn faces and of the sources.

    Raises:
        ValueError: if there is no such loss.
    """
    if kind not in EXPRESSION_LOSSES:
        raise ValueError(f"expression loss: expected one of {', '.join(EXPRESSION_LOSSES)}, got {kind!r}")
    loss = answered[0].new_zeros(())
    if kind in ("kd_logit", "both"):
        loss = loss + kd_logit(answered[0], reference[0])
    if kind in ("feature", "both"):
        loss = loss + 4 * feature(answered[1], reference[1])
    return loss


def attraction(drawn: Tensor, target: Tensor) -> Tensor:
    """Compute 1 − cosine between the embeddings (N, D) of drawn faces and their targets, in [0, 2]."""
    return 1 - (drawn * target).sum(1).mean()


def repulsion(drawn: Tensor, source: Tensor, margin: float = 0.0) -> Tensor:
    """Compute by how much the cosines (N, D) of drawn faces to their sources exceed a margin."""
    return ((drawn * source).sum(1) - margin).relu().mean()


def reconstruction(drawn: Tensor, source: Tensor) -> Tensor:
    """Compute the mean absolute difference of pictures (N, 3, H, W) in [0, 1], at full size and at a quarter of it."""
    coarse = functional.l1_loss(functional.avg_pool2d(drawn, 4), functional.avg_pool2d(source, 4))
    return functional.l1_loss(drawn, source) + coarse


def critic(real: Tensor, drawn: Tensor) -> Tensor:
    """Compute the critic's hinge loss (Lim and Ye, Geometric GAN, 2017, https://arxiv.org/abs/1705.02894)."""
    return (1 - real).relu().mean() + (1 + drawn).relu().mean()
