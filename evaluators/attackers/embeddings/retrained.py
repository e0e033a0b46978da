"""The retrained attacker: learns the enrolled people from anonymized pictures of them.

He anonymizes the gallery with a seed of his own, and adds two opinions on the embeddings: a probabilistic linear
discriminant analysis, and an ensemble of small MLPs on its coordinates, all seeds trained in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning.descent import descend, draw
from evaluators.attackers.learning.plda import Plda, fit

SEEDS = 3
HIDDEN = 256
STEPS = 60
BATCH = 2_048
"""Pictures per step; with fewer, every step sees them all."""
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
DROPOUT = 0.3


@dataclass(frozen=True, eq=False)
class Classifier:
    """Hold the discriminant analysis and S trained MLPs.

    Attributes:
        plda: of the enrolled people; K coordinates tell them apart.
        scale: () float32, deviation of the coordinates.
        weights: ((S, K, H), (S, 1, H), (S, H, P), (S, 1, P)) float32.
    """

    plda: Plda
    scale: Tensor
    weights: tuple[Tensor, Tensor, Tensor, Tensor]


def identify(evidence: Evidence) -> Tensor:
    """Learn the enrolled people from their anonymized gallery pictures, then classify the probes.

    Returns:
        (N, P) scores, higher for a likelier person; the sum of both embedders' where there is a second one.
    """
    clear = evidence.clear
    sights = [(evidence.probe_embedding, evidence.gallery_embedding), evidence.second_sight()]
    opinions = [
        classify(enroll(sight[1], clear.gallery_person, clear.people, seed=evidence.seed), sight[0])
        for sight in sights
        if sight is not None
    ]
    return torch.stack(opinions).sum(0)


def check_pictures(pictures: int, people: int) -> None:
    """Check that a gallery is enough to learn people from.

    Raises:
        ValueError: if nobody is on two pictures.
    """
    if pictures <= people:
        raise ValueError(
            f"attackers who learn people: expected more gallery pictures than people, got {pictures} of {people}; give "
            "people with 4 pictures or more (--min-pictures 4), or attackers who learn none (--attacker fixed "
            "--attacker parrot --attacker mapped)"
        )


def enroll(embedding: Tensor, person: Tensor, people: int, *, seed: int) -> Classifier:
    """Fit the analysis and train the ensemble.

    Args:
        embedding: (M, D) float32, unit norm, of anonymized pictures; more than people.
        person: (M,) int64 in [0, people), who is on them.
        people: P, number of classes.
        seed: of initial weights and dropout.

    Raises:
        ValueError: if nobody is on two pictures.
    """
    check_pictures(len(embedding), people)
    plda = fit(embedding, person, people)
    coordinates = plda.coordinates(embedding)
    scale = coordinates.square().mean().sqrt().nan_to_num(1.0)
    x = (coordinates / scale).expand(SEEDS, -1, -1)
    dim = x.shape[2]
    generator = torch.Generator().manual_seed(seed)

    def initial(*shape: int, fan_in: int) -> Tensor:
        weight: Tensor = torch.randn(*shape, generator=generator) / max(1, fan_in) ** 0.5
        return weight.to(embedding.device).requires_grad_()

    weights = (
        initial(SEEDS, dim, HIDDEN, fan_in=dim),
        torch.zeros(SEEDS, 1, HIDDEN, device=embedding.device, requires_grad=True),
        initial(SEEDS, HIDDEN, people, fan_in=HIDDEN),
        torch.zeros(SEEDS, 1, people, device=embedding.device, requires_grad=True),
    )

    def loss_of(_: int) -> Tensor:
        drawn = slice(None) if len(embedding) <= BATCH else draw(len(embedding), BATCH, generator, embedding.device)
        target = person[drawn].repeat(SEEDS)
        keep = (torch.rand(SEEDS, 1, HIDDEN, generator=generator) > DROPOUT).to(x) / (1 - DROPOUT)
        return SEEDS * functional.cross_entropy(_logits(x[:, drawn], weights, keep).flatten(0, 1), target)

    descend(weights, loss_of, steps=STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return Classifier(plda, scale, tuple(w.detach() for w in weights))  # type: ignore[arg-type]


def classify(classifier: Classifier, embedding: Tensor) -> Tensor:
    """Return (N, P) scores of (N, D) embeddings: both opinions' log probabilities, each in units of its deviation.

    Where no coordinate tells people apart, as on a constant picture, everybody gets the same.
    """
    plda = classifier.plda
    if not len(plda.between):
        return torch.zeros(len(embedding), len(plda.center)).to(embedding)
    x = (plda.coordinates(embedding) / classifier.scale).expand(SEEDS, -1, -1)
    learnt = _logits(x, classifier.weights).log_softmax(-1).mean(0)
    modelled = plda.log_likelihood(embedding).log_softmax(-1)
    return learnt / learnt.std() + modelled / modelled.std()


def _logits(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor], keep: Tensor | None = None) -> Tensor:
    """Run the S networks on (S, N, D) inputs; `keep` (S, 1, H) scales hidden units."""
    w1, b1, w2, b2 = weights
    hidden = functional.gelu(torch.baddbmm(b1, x, w1))
    if keep is not None:
        hidden = hidden * keep
    return torch.baddbmm(b2, hidden, w2)
