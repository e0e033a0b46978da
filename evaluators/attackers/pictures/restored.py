"""The restoring attacker: learns on other people to undo the anonymization in pixels, of gallery and probes alike.

Two stages: a ridge regression, which undoes whatever a method mixes linearly, wherever in the picture it puts it, and a
U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) on the picture and the regression's guess.
The U-Net is trained end to end through the embedder: the restored face must be near its own clear face, in pixels, and
nearer than all other people's, in embeddings. Where the method's family is known the U-Net goes on from the family's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evaluators.attackers.embeddings.galleries import search_both
from evaluators.attackers.evidence import Evidence
from evaluators.attackers.learning import ridge
from evaluators.attackers.learning.descent import descend, draw, which_of_all
from evaluators.attackers.learning.family import Family, condition_of
from evaluators.attackers.learning.unet import SIDE, UNet, to_side
from evaluators.networks.backends.feeding import resized
from evaluators.networks.roles import Differentiable

GUESS = 56
"""Side in px of the regression's guess: a face of 28 px is still recognized."""
SOME = 256
"""Faces that the first blend of picture and guess is chosen on."""
STEPS = 250
STEPS_ON = 50
"""From a family."""
BATCH = 24
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
PIXELS = 2.0
"""Weight of the mean absolute error, range 1, beside the contrastive loss."""


@dataclass(frozen=True, eq=False)
class Restorer:
    """Hold a trained U-Net, what gives it a first guess, and what it is told.

    Attributes:
        guess: maps (N, 3, S, S) uint8 to (N, 3, 112, 112) float32 in about [0, 1].
        net: restores.
        condition: (C,) float32; None for a U-Net that is told nothing.
    """

    guess: Callable[[Tensor], Tensor]
    net: UNet
    condition: Tensor | None = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 anonymized faces to (N, 3, 112, 112) uint8 restored ones."""
        parts = []
        for part in images.split(BATCH):
            restored = self.net(to_side(part), self.guess(part), self.condition)
            parts.append((restored.clamp(0, 1) * 255).round().to(torch.uint8))
        return torch.cat(parts)


def identify(evidence: Evidence) -> Tensor:
    """Learn to restore on attacker people, then search the clear and the restored gallery with the restored probes.

    Returns:
        (N, P) scores, higher for a likelier person.

    Raises:
        ValueError: if the embedder has no gradient.
    """
    clear = evidence.clear

    def treat() -> tuple[Tensor, ...]:
        if evidence.family is not None:
            restorer = go_on(evidence, evidence.family)
        else:
            restorer = train(
                evidence.attacker,
                clear.attacker.images,
                clear.attacker_embedding,
                clear.attacker.identity,
                evidence.differentiable,
                seed=evidence.seed,
            )
        return tuple(evidence.nets.embedder(restorer(pictures)) for pictures in (evidence.probe, evidence.gallery))

    probe, gallery = evidence.treated("restored", treat)
    return search_both(probe, gallery, clear, seed=evidence.seed)


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

    def restored(drawn: Tensor) -> Tensor:
        # The regression's guess of a face that it has not seen, as it will be for the probes.
        out: Tensor = net(to_side(anonymized[drawn]), enlarged(unseen[drawn]))
        return out

    _descend(net, restored, clear, embedding, person, embedder, generator, STEPS)
    return Restorer(lambda images: enlarged(fitted(images.flatten(1))), net.requires_grad_(False))


def go_on(evidence: Evidence, family: Family) -> Restorer:
    """Train the U-Net of a family on, for one configuration alone and through the embedder as it is."""
    generator = torch.Generator().manual_seed(evidence.seed)
    released, guess = evidence.attacker, evidence.guess(evidence.attacker)
    net = copy.deepcopy(family.net).requires_grad_(True)
    condition = condition_of(evidence.anonymizer).to(released.device)

    def restored(drawn: Tensor) -> Tensor:
        out: Tensor = net(to_side(released[drawn]), to_side(guess[drawn]), condition)
        return out

    clear = evidence.clear
    faces = clear.attacker
    _descend(
        *(net, restored, faces.images, clear.attacker_embedding, faces.identity),
        *(evidence.differentiable, generator, STEPS_ON),
    )
    return Restorer(lambda images: to_side(evidence.guess(images)), net.requires_grad_(False), condition)


def _descend(
    net: UNet,
    restored: Callable[[Tensor], Tensor],
    clear: Tensor,
    embedding: Tensor,
    person: Tensor,
    embedder: Differentiable,
    generator: torch.Generator,
    steps: int,
) -> None:
    """Train a U-Net in place, on what `restored` makes with it of the faces at given places."""
    embedding = embedding.clone()  # what inference mode has made takes no part in training

    def loss_of(_: int) -> Tensor:
        drawn = draw(len(clear), BATCH, generator, clear.device)
        pictures = restored(drawn)
        error = functional.l1_loss(pictures, to_side(clear[drawn]))
        seen = embedder.embed(pictures * 255)
        return PIXELS * error + which_of_all(seen, drawn, embedding, person)

    descend(list(net.parameters()), loss_of, steps=steps, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def share_of(picture: Tensor, guess: Tensor, clear: Tensor) -> float:
    """Return the share of the guess in the blend with the picture that is nearest to the clear face, in [0.05, 0.95].

    Args:
        picture, guess, clear: (N, 3, H, W) float32.
    """
    way = guess - picture
    share = float(((clear - picture) * way).sum() / way.square().sum().clamp_min(1e-12))
    return min(0.95, max(0.05, share))


def enlarged(guess: Tensor) -> Tensor:
    """Bring (N, 3 · 56 · 56) to (N, 3, 112, 112)."""
    return resized(guess.view(-1, 3, GUESS, GUESS), SIDE)
