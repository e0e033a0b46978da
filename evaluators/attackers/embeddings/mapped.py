"""The mapping attacker: learns on other people how to undo the anonymization in embeddings; searches the clear gallery.

A residual network that starts as the identity, trained with the contrastive loss of van den Oord, Li and Vinyals,
Representation learning with contrastive predictive coding, 2018 (https://arxiv.org/abs/1807.03748): among a batch of
clear faces, which one is this the anonymized picture of?
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning.descent import TEMPERATURE, descend, draw
from evaluators.metrics.identification import person_scores

HIDDEN = 512
STEPS = 100
BATCH = 512
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.05
DROPOUT = 0.2
FLOOR = 1e-3
"""Least deviation, over all dimensions, of embeddings that the network looks at: less is rounding, no trace."""


@dataclass(frozen=True, eq=False)
class Mapping:
    """Hold the trained network: x -> x A + a + gelu(x B + b) C on standardized embeddings.

    Attributes:
        mean: (D,) float32; scale: () float32.
        weights: ((D, D), (D,), (D, H), (H,), (H, D)) float32.
    """

    mean: Tensor
    scale: Tensor
    weights: tuple[Tensor, ...]

    def __call__(self, embedding: Tensor) -> Tensor:
        """Map (N, D) anonymized embeddings to (N, D) float32 of unit norm, near the clear ones."""
        return functional.normalize(_forward((embedding - self.mean) / self.scale, self.weights), dim=1)


def identify(evidence: Evidence) -> Tensor:
    """Learn the mapping on attacker people, then search the clear gallery with the mapped probes.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures.
    """
    clear = evidence.clear
    mapping = train(evidence.attacker_embedding, clear.attacker_embedding, seed=evidence.seed)
    return person_scores(mapping(evidence.probe_embedding), clear.gallery_embedding, clear.gallery_person, clear.people)


def train(anonymized: Tensor, clear: Tensor, *, seed: int) -> Mapping:
    """Train the network.

    Args:
        anonymized: (A, D) float32, unit norm, embeddings of anonymized faces.
        clear: (A, D) float32, unit norm, of the same faces before.
        seed: of weights, batches and dropout.
    """
    generator = torch.Generator().manual_seed(seed)
    count, dimension = anonymized.shape
    device = anonymized.device
    mean = anonymized.mean(0)
    scale = (anonymized - mean).square().mean().sqrt().clamp_min(FLOOR / dimension**0.5)
    x = (anonymized - mean) / scale
    weights = [
        torch.eye(dimension, device=device),
        torch.zeros(dimension, device=device),
        (torch.randn(dimension, HIDDEN, generator=generator) / dimension**0.5).to(device),
        torch.zeros(HIDDEN, device=device),
        torch.zeros(HIDDEN, dimension, device=device),
    ]
    for weight in weights:
        weight.requires_grad_()

    # Masks of dropout are drawn once, for twice as many faces as a batch has, and each batch starts at another: drawing
    # them anew every step would take a fifth of the time.
    masks = (torch.rand(2 * BATCH, HIDDEN, generator=generator) > DROPOUT).to(x) / (1 - DROPOUT)

    def loss_of(_: int) -> Tensor:
        drawn = draw(count, BATCH, generator, device)
        first = int(torch.randint(BATCH + 1, (), generator=generator))
        mapped = functional.normalize(_forward(x[drawn], weights, masks[first : first + len(drawn)]), dim=1)
        own = torch.arange(len(drawn), device=device)
        return functional.cross_entropy(mapped @ clear[drawn].T / TEMPERATURE, own)

    descend(weights, loss_of, steps=STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return Mapping(mean, scale, tuple(weight.detach() for weight in weights))


def _forward(x: Tensor, weights: list[Tensor] | tuple[Tensor, ...], keep: Tensor | None = None) -> Tensor:
    straight, offset, inward, bias, outward = weights
    hidden = functional.gelu(torch.addmm(bias, x, inward))
    if keep is not None:
        hidden = hidden * keep
    return torch.addmm(offset, x, straight) + hidden @ outward
