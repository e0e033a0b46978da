"""The retrained attacker: learns the enrolled people from anonymized pictures of them.

An ensemble of small MLPs on embeddings of the anonymized gallery, all seeds trained in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.evidence import Evidence

SEEDS = 3
HIDDEN = 256
STEPS = 60
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
DROPOUT = 0.3


@dataclass(frozen=True, eq=False)
class Classifier:
    """Hold S trained MLPs.

    Attributes:
        mean, scale: (D,) float32, standardization of the embeddings.
        weights: ((S, D, H), (S, 1, H), (S, H, P), (S, 1, P)) float32.
    """

    mean: Tensor
    scale: Tensor
    weights: tuple[Tensor, Tensor, Tensor, Tensor]


def identify(evidence: Evidence) -> Tensor:
    """Learn the enrolled people from their anonymized gallery pictures, then classify the probes.

    Returns:
        (N, P) log probabilities, averaged over the seeds.
    """
    clear = evidence.clear
    classifier = enroll(evidence.gallery_embedding, clear.gallery_person, clear.people, seed=evidence.seed)
    return classify(classifier, evidence.probe_embedding)


def enroll(embedding: Tensor, person: Tensor, people: int, *, seed: int) -> Classifier:
    """Train the ensemble.

    Args:
        embedding: (M, D) float32, of anonymized pictures.
        person: (M,) int64 in [0, people), who is on them.
        people: P, number of classes.
        seed: of initial weights and dropout.
    """
    mean, scale = embedding.mean(0), embedding.std(0, correction=0).mean().clamp_min(1e-6)
    x = ((embedding - mean) / scale).expand(SEEDS, -1, -1)
    generator = torch.Generator().manual_seed(seed)
    dim = embedding.shape[1]

    def initial(*shape: int, fan_in: int) -> Tensor:
        weight: Tensor = torch.randn(*shape, generator=generator) / fan_in**0.5
        return weight.to(embedding.device).requires_grad_()

    weights = (
        initial(SEEDS, dim, HIDDEN, fan_in=dim),
        torch.zeros(SEEDS, 1, HIDDEN, device=embedding.device, requires_grad=True),
        initial(SEEDS, HIDDEN, people, fan_in=HIDDEN),
        torch.zeros(SEEDS, 1, people, device=embedding.device, requires_grad=True),
    )
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    target = person.repeat(SEEDS)
    with torch.enable_grad():
        for _ in range(STEPS):
            keep = (torch.rand(SEEDS, 1, HIDDEN, generator=generator) > DROPOUT).to(x) / (1 - DROPOUT)
            loss = SEEDS * functional.cross_entropy(_logits(x, weights, keep).flatten(0, 1), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return Classifier(mean, scale, tuple(w.detach() for w in weights))  # type: ignore[arg-type]


def classify(classifier: Classifier, embedding: Tensor) -> Tensor:
    """Return (N, P) log probabilities, averaged over the seeds, of (N, D) embeddings."""
    x = ((embedding - classifier.mean) / classifier.scale).expand(SEEDS, -1, -1)
    return _logits(x, classifier.weights).log_softmax(-1).mean(0)


def _logits(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], keep: Tensor | None = None) -> Tensor:
    """Run the S networks on (S, N, D) inputs; `keep` (S, 1, H) scales hidden units."""
    w1, b1, w2, b2 = weights
    hidden = functional.gelu(torch.baddbmm(b1, x, w1))
    if keep is not None:
        hidden = hidden * keep
    return torch.baddbmm(b2, hidden, w2)
