"""The restoring attacker: learns on other people to undo the anonymization in pixels; searches the clear gallery.

Two stages: a ridge regression, which undoes whatever a method mixes linearly, wherever in the picture it puts it, and a
U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) on the picture and the regression's guess.
The U-Net is trained end to end through the embedder: the restored face must be near its own clear face, in pixels, and
nearer than all other people's, in embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning import ridge
from evaluators.attackers.learning.descent import descend, draw, which_of_all
from evaluators.attackers.learning.unet import UNet
from evaluators.metrics.identification import person_scores
from evaluators.networks.backends.feeding import resized
from evaluators.networks.roles import Differentiable

SIDE = 112
"""Side in px of what is restored: what the embedders see."""
GUESS = 56
"""Side in px of the regression's guess: a face of 28 px is still recognized."""
SOME = 256
"""Faces that the first blend of picture and guess is chosen on."""
STEPS = 250
BATCH = 24
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
PIXELS = 2.0
"""Weight of the mean absolute error, range 1, beside the contrastive loss."""


@dataclass(frozen=True, eq=False)
class Restorer:
    """Hold a fitted regression and a trained U-Net."""

    guess: ridge.Ridge
    net: UNet

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 anonymized faces to (N, 3, 112, 112) uint8 restored ones."""
        parts = []
        for part in images.split(BATCH):
            x, guess = to_side(part), enlarged(self.guess(part.flatten(1)))
            parts.append((self.net(x, guess).clamp(0, 1) * 255).round().to(torch.uint8))
        return torch.cat(parts)


def identify(evidence: Evidence) -> Tensor:
    """Learn to restore on attacker people, then search the clear gallery with the restored probes.

    Returns:
        (N, P) cosine, the best over each enrolled person's pictures.

    Raises:
        ValueError: if the embedder has no gradient.
    """
    clear = evidence.clear
    restorer = train(
        evidence.attacker,
        clear.attacker.images,
        clear.attacker_embedding,
        clear.attacker.identity,
        evidence.differentiable,
        seed=evidence.seed,
    )
    restored = evidence.nets.embedder(restorer(evidence.probe))
    return person_scores(restored, clear.gallery_embedding, clear.gallery_person, clear.people)


def train(
    anonymized: Tensor, clear: Tensor, embedding: Tensor, person: Tensor, embedder: Differentiable, *, seed: int
) -> Restorer:
    """Fit the regression and train the U-Net.

    Args:
        anonymized: (A, 3, S, S) uint8.
        clear: (A, 3, S, S) uint8, the same faces before.
        embedding: (A, D) float32, unit norm, of those.
        person: (A,) int64, who is on each.
        embedder: through which gradients flow.
        seed: of weights and batches.
    """
    generator = torch.Generator().manual_seed(seed)
    small = functional.interpolate(to_side(clear), size=(GUESS, GUESS), mode="area")
    fitted, unseen = ridge.fit(anonymized.flatten(1), small.flatten(1))
    share = share_of(to_side(anonymized[:SOME]), enlarged(unseen[:SOME]), to_side(clear[:SOME]))
    net = UNet(generator, share).to(anonymized.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    embedding = embedding.clone()  # what inference mode has made takes no part in training

    def loss_of(_: int) -> Tensor:
        drawn = draw(len(anonymized), BATCH, generator, anonymized.device)
        # The regression's guess of a face that it has not seen, as it will be for the probes.
        restored = net(to_side(anonymized[drawn]), enlarged(unseen[drawn]))
        error = functional.l1_loss(restored, to_side(clear[drawn]))
        seen = embedder.embed(restored * 255)
        return PIXELS * error + which_of_all(seen, drawn, embedding, person)

    weights = list(net.parameters())
    descend(weights, loss_of, steps=STEPS, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return Restorer(fitted, net.requires_grad_(False))


def share_of(picture: Tensor, guess: Tensor, clear: Tensor) -> float:
    """Return the share of the guess in the blend with the picture that is nearest to the clear face, in [0.05, 0.95].

    Args:
        picture, guess, clear: (N, 3, H, W) float32.
    """
    way = guess - picture
    share = float(((clear - picture) * way).sum() / way.square().sum().clamp_min(1e-12))
    return min(0.95, max(0.05, share))


def to_side(images: Tensor) -> Tensor:
    """Bring (N, 3, S, S) uint8 to (N, 3, 112, 112) float32 in [0, 1]."""
    return resized(images.float() / 255, SIDE)


def enlarged(guess: Tensor) -> Tensor:
    """Bring (N, 3 · 56 · 56) to (N, 3, 112, 112)."""
    return resized(guess.view(-1, 3, GUESS, GUESS), SIDE)
