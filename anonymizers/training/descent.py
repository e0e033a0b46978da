"""Descent: what every training run keeps and does, whatever it draws: weights that follow, steps, states, files."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anonymizers.training.recipe import Recipe, Refining

DECAY = 0.998
"""Of the average that follows the weights."""


class Descent(ABC):
    """Hold the state of a training run: a network, its average and its opponents."""

    recipe: Recipe | Refining
    device: torch.device
    rank: int
    faces: int
    net: nn.Module
    average: nn.Module
    opponents: nn.Module
    optimizers: list[torch.optim.Optimizer]
    generator: torch.Generator
    step_number: int

    def set_out(self, net: nn.Module, opponents: nn.Module, seed: int) -> None:
        """Start with these networks, on the run's device."""
        self.net = net.to(self.device)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.opponents = opponents.to(self.device)
        rate = self.recipe.rate
        self.optimizers = [
            torch.optim.AdamW(self.net.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4),
            torch.optim.AdamW(self.opponents.parameters(), lr=rate, betas=(0.5, 0.99), weight_decay=1e-4),
        ]
        self.generator = torch.Generator().manual_seed(seed + 7919 * self.rank)
        self.step_number = 0

    @abstractmethod
    def step(self) -> dict[str, float]:
        """Take one step; return the losses."""

    @abstractmethod
    def samples(self) -> Tensor:
        """Draw some faces, (R, N, 3, 112, 112) float32 in [0, 1] on the CPU."""

    @property
    def epoch_steps(self) -> int:
        """Return how many steps see as many faces as there are."""
        return max(1, self.faces // self.recipe.batch)

    @property
    def progress(self) -> float:
        """Return the share of the steps that were taken."""
        return self.step_number / self.recipe.steps

    def pace(self) -> None:
        """Set the rate of this step: it rises during the first fifty and falls to a fiftieth."""
        rate = self.recipe.rate * min(1.0, (self.step_number + 1) / 50, 0.02 + 1.4 * (1 - self.progress))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, nets: Sequence[nn.Module]) -> None:
        """Take one step of an optimizer.

        Raises:
            RuntimeError: if a gradient is not finite.
        """
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for net in nets for p in net.parameters()], 10.0)
        if not torch.isfinite(norm):
            raise RuntimeError(
                f"training {self.recipe.name}: expected finite gradients at step {self.step_number}, got {norm}; "
                "resume from the last checkpoint with a smaller rate"
            )
        optimizer.step()

    def follow(self) -> None:
        """Let the average follow the weights, faster in the beginning."""
        decay = min(DECAY, (1 + self.step_number) / (10 + self.step_number))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Return everything that goes on needs: tensors and plain data."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "step": self.step_number,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "opponents": self.opponents.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: if it is of another recipe.
        """
        if state["recipe"] != dataclasses.asdict(self.recipe):
            raise ValueError(
                f"--resume: expected a checkpoint of {self.recipe}, got one of {state['recipe']}; start anew instead"
            )
        self.step_number = state["step"]
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.opponents.load_state_dict(state["opponents"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.generator.set_state(state["generator"].cpu().to(torch.uint8))

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged network, with the distribution of identities, float16."""
        tensors = self.average.state_dict()
        return {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in tensors.items()}
