"""Run: the state of a training run, and one step of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonymizers.faces import Faces
from anonymizers.generative.conditioning import CONDITIONINGS, MAPS, inputs, words
from anonymizers.generative.nets.noisy_unet import CODES, SIDE, NoisyUNet, nats, sample
from anonymizers.training import losses
from anonymizers.training.critic import build_critic, build_spy, shake
from anonymizers.training.descent import Descent
from anonymizers.training.recipe import Recipe
from anonymizers.training.truth import Embed, Read, look, spread

SHOWN = 8


WINDOW = 64
"""Side of the random part of the faces in which the perceptual distance is taken, px: it costs a third."""


class Run(Descent):
    """Hold the state of a training run of the generator, and take its steps."""

    recipe: Recipe
    net: NoisyUNet
    average: NoisyUNet
    opponents: nn.ModuleDict

    def __init__(
        self,
        recipe: Recipe,
        faces: Faces,
        embed: Embed,
        read: Read,
        *,
        device: torch.device | str = "cpu",
        perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
        wrap: Callable[[nn.Module], nn.Module] = lambda net: net,
        rank: int = 0,
        agree: Callable[[int], int] = lambda count: count,
        begin: tuple[str, Mapping[str, Tensor]] | None = None,
    ) -> None:
        """Look at the faces once and build the networks.

        Args:
            recipe: how to train.
            faces: whom to train on, with the signals of the conditioning; faces that lack one are left out.
            embed: (N, 3, S, S) float pictures in [0, 255] to (N, D) of unit norm, with gradients.
            read: such pictures to the teacher's logits and features, with gradients.
            device: where to train.
            perceptual: distance of two batches of (N, 3, S, S) pictures in [0, 255], (N,), with gradients.
            wrap: makes of the networks what several processes train together, such as DistributedDataParallel.
            rank: number of this process among them; the first one writes.
            agree: makes of the number of faces that each process has one that all have, the smallest: they meet at the
                end of each epoch, and one that had a step more would wait for ever.
            begin: conditioning and weights of a network that sees as much or more, where training does not begin anew.

        Raises:
            ValueError: if fewer faces than a batch have the signals.
        """
        self.recipe, self.embed, self.read, self.perceptual, self.rank = recipe, embed, read, perceptual, rank
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.truth = look(faces, recipe, embed, read, self.device)
        self.faces = agree(len(self.truth.images))
        if self.faces < recipe.batch:
            raise ValueError(
                f"training: expected at least a batch of {recipe.batch} faces with the signals of conditioning "
                f"{recipe.conditioning!r} in each process, got {self.faces}"
            )
        dimension = self.truth.embedding.shape[1]
        net = NoisyUNet(
            inputs=inputs(recipe.conditioning),
            dimension=dimension,
            width=recipe.width,
            words=words(recipe.conditioning),
            means=recipe.means,
        )
        if recipe.means and begin is None:
            net.begin_with_means(self.truth.images.float().cpu() / 255, self.truth.told.cpu())
        if begin is not None:
            net.load_state_dict(adopted(begin[1], begin[0], recipe.conditioning))
        net.identity_mean, net.identity_factor = spread(self.truth.embedding)
        self.set_out(net, nn.ModuleDict({"critic": build_critic(), "spy": build_spy(dimension)}), recipe.seed)
        self.drawing = wrap(_Drawing(self.net))
        self.critic, self.spy = wrap(self.opponents["critic"]), wrap(self.opponents["spy"])

    def step(self) -> dict[str, float]:
        """Take one step; return the losses."""
        recipe = self.recipe
        self.pace()
        index = torch.randint(len(self.truth.images), (recipe.batch,), generator=self.generator)
        own = recipe.batch // 2 if recipe.asks else recipe.batch
        who = self.truth.embedding[index]
        target = who.clone()
        target[own:] = self.net.identities(torch.randn(recipe.batch - own, target.shape[1], generator=self.generator))
        source = self.truth.images[index].float() / 255
        noise = [torch.randn(recipe.batch, c, s, s, generator=self.generator).to(self.device) for c, s in CODES]
        with torch.autocast(self.device.type, torch.bfloat16):
            drawn, codes, cost = self.drawing(
                self.truth.given[index].float() / 255, target, self.truth.told[index], noise
            )
            judged = self.critic(drawn).float()
            suspected = self.spy(codes).float()
        parts = {
            "reconstruction": losses.reconstruction(drawn[:own], source[:own]),
            "critic": -judged.mean(),
            "leak": losses.repulsion(functional.normalize(suspected), who),
        }
        if recipe.asks:
            parts |= self._asked(drawn, target, index, own)
        if self.perceptual is not None:
            top, left = torch.randint(SIDE - WINDOW + 1, (2,), generator=self.generator).tolist()
            seen = (slice(own), slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
            with torch.autocast(self.device.type, torch.bfloat16):
                parts["perceptual"] = self.perceptual(drawn[seen] * 255, source[seen] * 255).float().mean()
        total = torch.stack([getattr(recipe, name) * value for name, value in parts.items()]).sum()
        asked = min(1.0, max(0.0, self.progress / recipe.patience - 1))
        total = total + recipe.price * asked * (cost - recipe.free).relu().mean()
        self.descend(self.optimizers[0], total, [self.net])
        with torch.autocast(self.device.type, torch.bfloat16):
            real, fake = self.critic(torch.cat((source, drawn.detach()))).float().chunk(2)
            suspected = self.spy(codes.detach()).float()
        against = losses.critic(real, fake) + losses.attraction(functional.normalize(suspected), who)
        self.descend(self.optimizers[1], against, [self.opponents])
        self.step_number += 1
        self.follow()
        return {**{name: float(value.detach()) for name, value in parts.items()}, "nats": float(cost.detach().mean())}

    def _asked(self, drawn: Tensor, target: Tensor, index: Tensor, own: int) -> dict[str, Tensor]:
        """Ask embedder and teacher what they see in drawn faces, of which the first `own` are of their own source."""
        with torch.autocast(self.device.type, torch.bfloat16):
            shaken = shake(drawn, self.generator) * 255
            embedding = self.embed(shaken).float()
            logits, features = self.read(shaken)
        answered, reference = (logits.float(), features.float()), (self.truth.logits[index], self.truth.features[index])
        return {
            "attraction": losses.attraction(embedding, target),
            "repulsion": losses.repulsion(embedding[own:], self.truth.embedding[index[own:]]),
            "expression": losses.expression(self.recipe.expression_loss, answered, reference),
        }

    @torch.no_grad()
    def samples(self) -> Tensor:
        """Draw SHOWN faces: sources, what the encoder sees of them, themselves again, and as two other people.

        Returns:
            (5, SHOWN, 3, 112, 112) float32 in [0, 1] on the CPU.
        """
        index = torch.linspace(0, len(self.truth.images) - 1, min(SHOWN, len(self.truth.images))).long()
        generator = torch.Generator().manual_seed(self.recipe.seed)
        foreign = self.net.identities(torch.randn(2, self.truth.embedding.shape[1], generator=generator))
        shown = self.truth.given[index].float() / 255
        codes = sample(self.average.encode(shown), [torch.zeros(1, 1, 1, 1, device=self.device)] * 2)
        rows = [self.truth.images[index].float() / 255, _picture_of(shown)]
        for target in (self.truth.embedding[index], *(one.expand(len(index), -1) for one in foreign)):
            rows.append(self.average.decode(codes, target, self.truth.told[index]))
        return torch.stack([row.cpu() for row in rows])


def adopted(weights: Mapping[str, Tensor], seen: str, conditioning: str) -> dict[str, Tensor]:
    """Return the weights of a network with conditioning `seen` for one that sees less: the first layer loses inputs.

    Words that were not told before begin as if they said nothing, nearly.

    Raises:
        ValueError: if the new one sees a map that the old one did not.
    """
    drawn = {name for name in CONDITIONINGS[conditioning] if name in MAPS}
    if unseen := sorted(drawn - set(CONDITIONINGS[seen])):
        raise ValueError(
            f"training {conditioning!r}: expected to begin with a network that sees {', '.join(unseen)} too, got one "
            f"with conditioning {seen!r}; begin with another, or anew"
        )
    kept = [torch.arange(3)]
    first = 3
    for name in CONDITIONINGS[seen]:
        if name in CONDITIONINGS[conditioning]:
            kept.append(torch.arange(first, first + MAPS.get(name, 0)))
        first += MAPS.get(name, 0)
    enter, style = weights["enter.weight"], weights["style.0.weight"]
    style = style[:, : style.shape[1] - words(seen) + min(words(seen), words(conditioning))]
    new = 0.01 * torch.randn(len(style), max(0, words(conditioning) - words(seen)))
    means = {}
    if "means" in weights:
        faces = weights["means"][: 1 + min(words(seen), words(conditioning))]
        fresh = torch.zeros(max(0, words(conditioning) - words(seen)), *faces.shape[1:])
        means = {"means": torch.cat((faces, fresh.to(faces)))}
    return {
        **weights,
        **means,
        "enter.weight": enter[:, torch.cat(kept).to(enter.device)],
        "style.0.weight": torch.cat((style, new.to(style)), 1),
    }


def _picture_of(shown: Tensor) -> Tensor:
    """Show what the encoder sees: the context, and the signals on it in white."""
    signal = shown[:, 3:8].amax(1, keepdim=True) if shown.shape[1] > 3 else torch.zeros_like(shown[:, :1])
    return functional.interpolate((shown[:, :3] + signal).clamp(0, 1), size=(SIDE, SIDE), mode="nearest")


class _Drawing(nn.Module):
    """Encode, send through the channels, decode: what several machines do together."""

    def __init__(self, net: NoisyUNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, shown: Tensor, target: Tensor, said: Tensor, noise: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels = self.net.encode(shown)
        codes = sample(channels, noise)
        return self.net.decode(codes, target, said), torch.cat([code.flatten(1) for code in codes], 1), nats(channels)
