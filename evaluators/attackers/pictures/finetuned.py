"""The fine-tuning attacker: adapts the embedder itself on anonymized pictures of other people.

The adapted embedder learns to give an anonymized face the embedding of the clear one, nearer than all other people's;
then clear gallery (embedded as ever) and anonymized gallery (embedded by the adapted one) are searched together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning.descent import descend, draw, which_of_all
from evaluators.metrics.identification import person_scores
from evaluators.networks.roles import Differentiable

STEPS = 250
BATCH = 24
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.01


def identify(evidence: Evidence) -> Tensor:
    """Adapt the embedder on attacker people, then search both galleries.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures, clear and anonymized.

    Raises:
        ValueError: if the embedder has no gradient.
    """
    clear = evidence.clear
    adapted = train(
        evidence.attacker,
        clear.attacker_embedding,
        clear.attacker.identity,
        evidence.differentiable,
        seed=evidence.seed,
    )
    probe, gallery = embed_all(adapted, evidence.probe), embed_all(adapted, evidence.gallery)
    both = torch.cat([clear.gallery_embedding, gallery])
    return person_scores(probe, both, clear.gallery_person.repeat(2), clear.people)


def train(anonymized: Tensor, clear: Tensor, person: Tensor, embedder: Differentiable, *, seed: int) -> Differentiable:
    """Adapt a copy of the embedder.

    Args:
        anonymized: (A, 3, S, S) uint8.
        clear: (A, D) float32, unit norm, embeddings of the same faces before.
        person: (A,) int64, who is on each.
        embedder: to start from; stays as it is.
        seed: of the batches.
    """
    generator = torch.Generator().manual_seed(seed)
    adapted = embedder.unfrozen()
    clear = clear.clone()  # what inference mode has made takes no part in training

    def loss_of(_: int) -> Tensor:
        drawn = draw(len(anonymized), BATCH, generator, anonymized.device)
        return which_of_all(adapted.embed(anonymized[drawn]), drawn, clear, person)

    weights = list(adapted.module.parameters())
    descend(weights, loss_of, steps=STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    adapted.module.requires_grad_(False)
    return adapted


@torch.no_grad()
def embed_all(embedder: Differentiable, images: Tensor) -> Tensor:
    """Map (N, 3, S, S) uint8 to (N, D) float32 of unit norm, in batches."""
    return torch.cat([embedder.embed(part) for part in images.split(BATCH)])
