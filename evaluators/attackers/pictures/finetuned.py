"""The fine-tuning attacker: adapts the embedder itself on anonymized pictures of other people.

The adapted embedder learns to give an anonymized face the embedding of the clear one, nearer than all other people's;
then clear gallery (embedded as ever) and anonymized gallery (embedded by the adapted one) are searched together. Where
the method's family is known its embedder is where he begins, on faces that the family has restored.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.attackers.embeddings.galleries import search_both
from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning.descent import descend, draw, which_of_all
from evaluators.networks.roles import Differentiable

STEPS = 250
STEPS_ON = 50
"""From a family."""
BATCH = 24
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 0.01


def identify(evidence: Evidence) -> Tensor:
    """Adapt the embedder on attacker people, then search both galleries.

    Returns:
        (N, P) scores, higher for a likelier person.

    Raises:
        ValueError: if the embedder has no gradient.
    """
    clear, family = evidence.clear, evidence.family

    def shown(released: Tensor) -> Tensor:
        return released if family is None else family.restore(evidence.anonymizer, released, evidence.guess(released))

    def treat() -> tuple[Tensor, ...]:
        adapted = train(
            shown(evidence.attacker),
            clear.attacker_embedding,
            clear.attacker.identity,
            evidence.differentiable if family is None else family.embedder,
            seed=evidence.seed,
            steps=None if family is None else STEPS_ON,
        )
        return embed_all(adapted, shown(evidence.probe)), embed_all(adapted, shown(evidence.gallery))

    probe, gallery = evidence.treated("finetuned", treat)
    return search_both(probe, gallery, clear, seed=evidence.seed)


def train(
    anonymized: Tensor,
    clear: Tensor,
    person: Tensor,
    embedder: Differentiable,
    *,
    seed: int,
    steps: int | None = None,
) -> Differentiable:
    """Adapt a copy of the embedder.

    Args:
        anonymized: (A, 3, S, S) uint8.
        clear: (A, D) float32, unit norm, embeddings of the same faces before.
        person: (A,) int64, who is on each.
        embedder: to start from; stays as it is.
        seed: of the batches.
        steps: of the descent; None for STEPS.
    """
    generator = torch.Generator().manual_seed(seed)
    adapted = embedder.unfrozen()
    clear = clear.clone()  # what inference mode has made takes no part in training

    def loss_of(_: int) -> Tensor:
        drawn = draw(len(anonymized), BATCH, generator, anonymized.device)
        return which_of_all(adapted.embed(anonymized[drawn]), drawn, clear, person)

    weights = list(adapted.module.parameters())
    descend(weights, loss_of, steps=steps or STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    adapted.module.requires_grad_(False)
    return adapted


@torch.no_grad()
def embed_all(embedder: Differentiable, images: Tensor) -> Tensor:
    """Map (N, 3, S, S) uint8 to (N, D) float32 of unit norm, in batches."""
    return torch.cat([embedder.embed(part) for part in images.split(BATCH)])
