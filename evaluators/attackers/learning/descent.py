"""Descent: how every attacker's network is trained, AdamW with a cosine schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.adamw import adamw

TEMPERATURE = 0.07


def descend(
    weights: Sequence[Tensor],
    loss_of: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float | Sequence[float],
    weight_decay: float,
) -> None:
    """Train weights in place (Loshchilov and Hutter, ICLR 2019, https://arxiv.org/abs/1711.05101).

    AdamW is called as a function: the first use of torch.optim's class imports torch's compiler for seconds.

    Args:
        weights: leaves that require gradients.
        loss_of: step -> () loss.
        steps: how many; the learning rate falls to 0 along half a cosine.
        learning_rate: of AdamW, for all weights or for each.
        weight_decay: of AdamW.
    """
    rates = [learning_rate] * len(weights) if isinstance(learning_rate, float) else list(learning_rate)
    groups = {rate: [place for place, one in enumerate(rates) if one == rate] for rate in rates}
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    counts = [torch.zeros(()) for _ in weights]
    for step in range(steps):
        with torch.enable_grad():
            slopes = torch.autograd.grad(loss_of(step), weights)
        with torch.no_grad():
            for rate, places in groups.items():
                adamw(
                    [weights[place] for place in places],
                    [slopes[place] for place in places],
                    [first[place] for place in places],
                    [second[place] for place in places],
                    [],
                    [counts[place] for place in places],
                    amsgrad=False,
                    beta1=0.9,
                    beta2=0.999,
                    lr=rate * 0.5 * (1 + math.cos(math.pi * step / steps)),
                    weight_decay=weight_decay,
                    eps=1e-8,
                    maximize=False,
                )


def draw(count: int, batch: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw the places of a batch out of so many faces, none twice: (min(batch, count),) int64."""
    return torch.randperm(count, generator=generator)[:batch].to(device)


def which_of_all(embedding: Tensor, drawn: Tensor, clear: Tensor, person: Tensor) -> Tensor:
    """Compute the contrastive loss: among all clear faces, which one is this the anonymized picture of?

    van den Oord, Li and Vinyals, 2018 (https://arxiv.org/abs/1807.03748); other pictures of the same person are no
    wrong answers and stay out.

    Args:
        embedding: (B, D) float32, unit norm, of anonymized faces.
        drawn: (B,) int64, their places among the clear faces.
        clear: (A, D) float32, unit norm, of all clear faces.
        person: (A,) int64, who is on each.

    Returns:
        () float32.
    """
    logits = embedding @ clear.T / TEMPERATURE
    same = person[drawn][:, None] == person[None, :]
    same[torch.arange(len(drawn), device=drawn.device), drawn] = False
    return functional.cross_entropy(logits.masked_fill(same, -torch.inf), drawn)
