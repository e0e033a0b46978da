"""Refining: the state of a run that trains a network to refine averages, and one step of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonymizers.base import Context
from anonymizers.classical.averaging.bank import CODE, bank_of
from anonymizers.classical.averaging.donors import Donors
from anonymizers.faces import Faces
from anonymizers.generative.nets.noisy_unet import SIDE, Down
from anonymizers.generative.nets.refining_unet import RefiningUNet, corrected
from anonymizers.signals import with_signals
from anonymizers.training import losses
from anonymizers.training.critic import build_critic, shake
from anonymizers.training.descent import Descent
from anonymizers.training.recipe import Refining
from anonymizers.training.truth import Embed, Read, at_side, spread

WAYS = tuple(Donors(k=k, axes=axes) for k, axes in ((20, 52), (10, 6), (40, 52), (20, 52), (5, 52), (20, 4)))
"""Donors whose averages are refined, in turn; fewer people where there are not as many."""
SHOWN = 8
WINDOW = 64
"""Side of the random part of the faces in which the perceptual distance is taken, px."""


@dataclass(frozen=True, eq=False)
class Averages:
    """Hold what is computed once about the N training faces.

    Attributes:
        images, average: (N, 3, 112, 112) uint8, faces and the averages of donors with their code.
        code: (N, D + 3) float32, coefficients and pose as they were measured.
        told: (N, D + 3) float32, what is left of them; of some faces a few axes.
        embedding: (N, E) float32, unit norm.
        answers: logits (N, C) and features (N, F) float32 of every teacher.
    """

    images: Tensor
    average: Tensor
    code: Tensor
    told: Tensor
    embedding: Tensor
    answers: tuple[tuple[Tensor, Tensor], ...]


def build_reader(code: int, width: int = 16) -> nn.Sequential:
    """Build a reader of codes, (N, 3, 112, 112) in [0, 1] to (N, code) standardized ones; real faces teach it."""
    return nn.Sequential(
        nn.Conv2d(3, width, 5, stride=2, padding=2), nn.SiLU(), Down(width, 2 * width), Down(2 * width, 4 * width),
        Down(4 * width, 4 * width), nn.Flatten(), nn.Linear(4 * width * 49, 4 * width), nn.SiLU(),
        nn.Linear(4 * width, code),
    )  # fmt: skip


class Refinement(Descent):
    """Hold the state of a training run, and take its steps."""

    recipe: Refining
    net: RefiningUNet
    average: RefiningUNet
    opponents: nn.ModuleDict

    def __init__(
        self,
        recipe: Refining,
        faces: Faces,
        embed: Embed,
        reads: Sequence[Read],
        *,
        device: torch.device | str = "cpu",
        perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
        wrap: Callable[[nn.Module], nn.Module] = lambda net: net,
        rank: int = 0,
        agree: Callable[[int], int] = lambda count: count,
    ) -> None:
        """Look at the faces once, average donors for each, and build the networks.

        Args:
            recipe: how to train.
            faces: whom to train on, with the signals of the recipe; faces that lack one are left out.
            embed: (N, 3, S, S) float pictures in [0, 255] to (N, D) of unit norm, with gradients.
            reads: of each teacher, such pictures to logits and features, with gradients.
            device, perceptual, wrap, rank, agree: see `Run`.

        Raises:
            ValueError: if fewer faces than a batch have the signals, or people than two averages need.
        """
        self.recipe, self.embed, self.reads, self.perceptual, self.rank = recipe, embed, reads, perceptual, rank
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.truth = averaged(faces, recipe, embed, reads, self.device)
        self.faces = agree(len(self.truth.images))
        if self.faces < recipe.batch:
            raise ValueError(
                f"training {recipe.name}: expected at least a batch of {recipe.batch} faces with the signals "
                f"{', '.join(recipe.needs)} in each process, got {self.faces}"
            )
        code, dimension = self.truth.code, self.truth.embedding.shape[1]
        net = RefiningUNet(code=code.shape[1], dimension=dimension, width=recipe.width)
        net.identity_mean, net.identity_factor = spread(self.truth.embedding)
        net.code_center, net.code_deviation = code.mean(0), code.std(0).clamp_min(1e-6)
        self.set_out(net, nn.ModuleDict({"critic": build_critic(), "reader": build_reader(code.shape[1])}), recipe.seed)
        self.drawing = wrap(self.net)
        self.critic, self.reader = wrap(self.opponents["critic"]), wrap(self.opponents["reader"])

    def step(self) -> dict[str, float]:
        """Take one step; return the losses."""
        recipe, truth = self.recipe, self.truth
        if self.step_number == 0:
            self._go_to_school()
        self.pace()
        index = torch.randint(len(truth.images), (recipe.batch,), generator=self.generator)
        own = recipe.batch // 2
        target = truth.embedding[index].clone()
        target[own:] = self._strangers(recipe.batch - own)
        source, average = truth.images[index].float() / 255, truth.average[index].float() / 255
        code, told = (self.net.standardized(some[index]) for some in (truth.code, truth.told))
        with torch.autocast(self.device.type, torch.bfloat16):
            drawn = corrected(average, self.drawing(average, target, told))
            judged = self.critic(drawn).float()
            shaken = shake(drawn, self.generator)
            embedding = self.embed(shaken * 255).float()
            answered = [read(shaken * 255) for read in self.reads]
            said = self.reader(shaken).float()
        parts = {
            "reconstruction": losses.reconstruction(drawn[:own], source[:own]),
            "critic": -judged.mean(),
            "attraction": losses.attraction(embedding, target),
            "expression": torch.stack(
                [
                    losses.expression("both", (logits.float(), features.float()), (clear[0][index], clear[1][index]))
                    for (logits, features), clear in zip(answered, truth.answers, strict=True)
                ]
            ).mean(),
            "code": functional.mse_loss(said, told),
        }
        if self.perceptual is not None:
            top, left = torch.randint(SIDE - WINDOW + 1, (2,), generator=self.generator).tolist()
            seen = (slice(own), slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
            with torch.autocast(self.device.type, torch.bfloat16):
                parts["perceptual"] = self.perceptual(drawn[seen] * 255, source[seen] * 255).float().mean()
        grown = min(1.0, self.progress / recipe.early) if recipe.early else 1.0
        shares = {"reconstruction": 1 - (1 - recipe.late) * grown}
        total = torch.stack([getattr(recipe, name) * shares.get(name, 1.0) * value for name, value in parts.items()])
        self.descend(self.optimizers[0], total.sum(), [self.net])
        with torch.autocast(self.device.type, torch.bfloat16):
            real, fake = self.critic(torch.cat((source, drawn.detach()))).float().chunk(2)
            read = self.reader(shake(source, self.generator)).float()
        learned = functional.mse_loss(read, code)
        self.descend(self.optimizers[1], losses.critic(real, fake) + learned, [self.opponents])
        self.step_number += 1
        self.follow()
        return {**{name: float(value.detach()) for name, value in parts.items()}, "reader": float(learned.detach())}

    def _go_to_school(self) -> None:
        """Teach the reader of codes on real faces, as a reader who never saw a drawn one."""
        school, rate = self.recipe.school, 2 * self.recipe.rate
        optimizer = torch.optim.AdamW(self.opponents["reader"].parameters(), lr=rate, weight_decay=1e-2)
        for number in range(school):
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (number + 1) / 50, 0.02 + 1.4 * (1 - number / school))
            index = torch.randint(len(self.truth.images), (2 * self.recipe.batch,), generator=self.generator)
            code = self.net.standardized(self.truth.code[index])
            with torch.autocast(self.device.type, torch.bfloat16):
                read = self.reader(shake(self.truth.images[index].float() / 255, self.generator)).float()
            self.descend(optimizer, functional.mse_loss(read, code), [self.opponents["reader"]])

    def _strangers(self, count: int) -> Tensor:
        """Draw identities of nobody, (count, E), some of them nearer to the mean."""
        noise = torch.randn(count, self.truth.embedding.shape[1], generator=self.generator)
        least, chance = torch.rand(2, count, 1, generator=self.generator)
        return self.net.identities(noise, torch.where(chance < self.recipe.truncated, least, 1.0).to(self.device))

    @torch.no_grad()
    def samples(self) -> Tensor:
        """Draw SHOWN faces: sources, averages, refined as themselves, as the mean, and as two other people.

        Returns:
            (6, SHOWN, 3, 112, 112) float32 in [0, 1] on the CPU.
        """
        truth = self.truth
        index = torch.linspace(0, len(truth.images) - 1, min(SHOWN, len(truth.images))).long()
        generator = torch.Generator().manual_seed(self.recipe.seed)
        noise = torch.randn(3, truth.embedding.shape[1], generator=generator)
        foreign = self.average.identities(noise, torch.tensor([[0.0], [1.0], [1.0]], device=self.device))
        average = truth.average[index].float() / 255
        rows = [truth.images[index].float() / 255, average]
        for target in (truth.embedding[index], *(one.expand(len(index), -1) for one in foreign)):
            correction = self.average(average, target, self.average.standardized(truth.told[index]))
            rows.append(corrected(average, correction))
        return torch.stack([row.cpu() for row in rows])


@torch.no_grad()
def averaged(faces: Faces, recipe: Refining, embed: Embed, reads: Sequence[Read], device: torch.device) -> Averages:
    """Compute what is known of the training faces, and average donors for each, who are other people.

    Raises:
        ValueError: if there are too few people for an average.
    """
    faces = faces.take(torch.nonzero(with_signals(faces, recipe.needs, f"training {recipe.name}"))[:, 0])
    groups = _groups(faces.identity, recipe.bank)
    most = min(len(faces.identity[group].unique()) for group in groups) if len(groups) > 1 else 0
    if most < min(way.k for way in WAYS):
        raise ValueError(
            f"training {recipe.name}: expected faces of at least {2 * min(way.k for way in WAYS)} people, got "
            f"{len(faces.identity.unique())}; give more"
        )
    parts: list[tuple[Tensor, ...]] = []
    for number, group in enumerate(groups):
        background = faces.take(groups[number - 1]).to(device)
        bank, context = bank_of(background), Context(background=background)
        for turn, way in enumerate(WAYS):
            some = group[turn :: len(WAYS)]
            for part in some.split(recipe.batch):
                few = faces.take(part).to(device)
                way = Donors(k=min(way.k, most), axes=way.axes)
                told = bank.measured(way.codes(bank, few, context))
                images = at_side(few.images)
                seen = images.float()
                answers = [value.float() for read in reads for value in read(seen)]
                code = torch.cat([few.signals[name].float() for name in CODE], 1)
                parts.append((images, at_side(way(few, context)), code, told, embed(seen).float(), *answers))
    images, average, code, told, embedding, *answered = (torch.cat(column) for column in zip(*parts, strict=True))
    return Averages(images, average, code, told, embedding, tuple(zip(answered[::2], answered[1::2], strict=True)))


def _groups(identity: Tensor, people: int) -> list[Tensor]:
    """Return the places of the faces of about so many people at a time, at least two groups where there are two."""
    everybody = identity.unique()
    count = max(2, round(len(everybody) / people))
    return [torch.nonzero(torch.isin(identity, some))[:, 0] for some in everybody.tensor_split(count) if len(some)]
