"""A family: what an attacker learns once of a method, over the whole range of its hyperparameters.

A small U-Net that is told the hyperparameters restores the face, and a copy of the embedder looks at what it makes.
Both are trained together, so that a restored face is near its own clear one, in pixels, and nearer than all other
people's, in embeddings. Where the method says how it mixes pixels its inverse is the U-Net's first guess.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from anonymizers import ANONYMIZERS, Anonymizer, Context, Faces
from evaluators.attackers.learning import inverse
from evaluators.attackers.learning.descent import descend, which_of_all
from evaluators.attackers.learning.undoing import named
from evaluators.attackers.learning.unet import UNet, to_side
from evaluators.networks.roles import Differentiable

FACES = 256
"""Of attacker people, drawn anew for each member."""
STEPS = 400
LEAST_STEPS = 20
"""Fewer teach nothing: the family is left out."""
BATCH = 24
RATES = (2e-3, 3e-4)
"""Learning rates of U-Net and embedder."""
WEIGHT_DECAY = 1e-4
PIXELS = 2.0
"""Weight of the mean absolute error, range 1, beside the contrastive loss."""
FOLD, WIDTHS = 4, (64, 96)
"""Of the U-Net: a third of the work of that of `restored`."""
SHARE = 0.5
"""Of the first guess in the blend that training starts from."""
LEFT_OUT = 0.1
"""Share of the attacker people on whom a family proves that it has learned."""


class NotLearnedError(RuntimeError):
    """Say why there is no family of a method."""


@dataclass(frozen=True, eq=False)
class Family:
    """Hold what was learned of a method.

    Attributes:
        method: in ANONYMIZERS.
        net: restores a face, told the hyperparameters.
        embedder: looks at restored faces.
        facts: of its training: `steps`, `seconds`, `members`, and the share of faces of people left out that are
            nearest to their own clear one, `named` by it, `unprepared` by the embedder alone.
    """

    method: str
    net: UNet
    embedder: Differentiable
    facts: Mapping[str, Any]

    @torch.no_grad()
    def restore(self, anonymizer: Anonymizer, released: Tensor, guess: Tensor) -> Tensor:
        """Restore faces.

        Args:
            anonymizer: what was done to them.
            released: (N, 3, S, S) uint8.
            guess: (N, 3, S, S) uint8, the same undone as far as the method itself says how; see `guess_of`.

        Returns:
            (N, 3, 112, 112) uint8.
        """
        condition = condition_of(anonymizer).to(released.device)
        parts = []
        for some, undone in zip(released.split(BATCH), guess.split(BATCH), strict=True):
            restored = self.net(to_side(some), to_side(undone), condition)
            parts.append((restored.clamp(0, 1) * 255).round().to(torch.uint8))
        return torch.cat(parts)

    @torch.no_grad()
    def embed(self, anonymizer: Anonymizer, released: Tensor, guess: Tensor) -> Tensor:
        """Return (N, D) float32, unit norm, of restored faces; arguments as of `restore`."""
        restored = self.restore(anonymizer, released, guess)
        return torch.cat([self.embedder.embed(part) for part in restored.split(BATCH)])

    def packed(self) -> bytes:
        """Return the family as the bytes of a safetensors file."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"embedder.{name}": value for name, value in self.embedder.module.state_dict().items()}
        packed: bytes = save(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            {"method": self.method, "facts": json.dumps(dict(self.facts))},
        )
        return packed


def unpacked(packed: bytes, embedder: Differentiable, device: torch.device) -> Family:
    """Return a family from the bytes that `Family.packed` gave.

    Args:
        packed: the bytes of a safetensors file.
        embedder: the one that it was trained with.
        device: where it shall live.

    Raises:
        RuntimeError: if it was trained with another embedder.
    """
    header = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])["__metadata__"]
    tensors = load(packed)
    method = header["method"]
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "embedder": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    net = _fresh(method, 0)
    net.load_state_dict(parts["net"])
    adapted = embedder.unfrozen()
    adapted.module.load_state_dict(parts["embedder"])
    adapted.module.requires_grad_(False)
    return Family(method, net.to(device).requires_grad_(False), adapted, json.loads(header["facts"]))


@dataclass(frozen=True, eq=False)
class Pool:
    """Hold what a family is trained on, of one member: released and guessed faces, and which of all they are.

    Attributes:
        condition: (C,) float32.
        anonymizer: the member.
        released, guess: (F, 3, S, S) uint8.
        place: (F,) int64, among the attacker faces.
    """

    anonymizer: Anonymizer
    condition: Tensor
    released: Tensor
    guess: Tensor
    place: Tensor


def learn(
    members: Sequence[Anonymizer],
    faces: Faces,
    embedding: Tensor,
    embedder: Differentiable,
    *,
    context: Context,
    prior: inverse.Prior,
    publish: Callable[[Tensor], Tensor] | None,
    seconds: float,
) -> Family:
    """Train the family of a method.

    Args:
        members: configurations of one method, spread over what may be tried of it.
        faces: of attacker people, clear.
        embedding: (A, D) float32, unit norm, of those.
        embedder: to start from; stays as it is.
        context: what the attacker anonymizes with; its seed draws weights and batches too.
        prior: how clear faces vary.
        publish: what is done to released pictures before anybody sees them.
        seconds: that it may take.

    Raises:
        NotLearnedError: if the time does not suffice, or people left out are not named better by it than without it.
    """
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(context.seed)
    device = faces.images.device
    pools = [
        pool_of(member, faces, generator, context=context, prior=prior, publish=publish, among=embedding)
        for member in members
    ]
    people = faces.identity.unique()
    kept_out = people[torch.randperm(len(people), generator=generator)[: max(1, round(LEFT_OUT * len(people)))]]
    proof = torch.isin(faces.identity, kept_out).to(device)
    train = [torch.nonzero(~proof[pool.place])[:, 0] for pool in pools]
    net = _fresh(members[0].method, context.seed).to(device)
    adapted = embedder.unfrozen()
    target, person = embedding.clone(), faces.identity.to(device)  # what inference mode has made cannot be trained on
    clear = faces.images

    def loss_of(_: int) -> Tensor:
        number = int(torch.randint(len(pools), (), generator=generator))
        pool, rows = pools[number], train[number]
        drawn = rows[torch.randperm(len(rows), generator=generator)[:BATCH].to(device)]
        place = pool.place[drawn]
        restored = net(to_side(pool.released[drawn]), to_side(pool.guess[drawn]), pool.condition)
        error = functional.l1_loss(restored, to_side(clear[place]))
        return PIXELS * error + which_of_all(adapted.embed(restored * 255), place, target, person)

    weights = [*net.parameters(), *adapted.module.parameters()]
    rates = [RATES[0]] * len(list(net.parameters())) + [RATES[1]] * len(list(adapted.module.parameters()))
    step = _seconds_of(lambda: torch.autograd.grad(loss_of(0), weights, allow_unused=True))
    left = seconds - (time.perf_counter() - start)
    steps = min(STEPS, int(left / step))
    if steps < LEAST_STEPS:
        raise NotLearnedError(
            f"{max(0.0, seconds):.0f} s are too few for it: {max(0, steps)} steps of at least {LEAST_STEPS} would fit"
        )
    descend(weights, loss_of, steps=steps, learning_rate=rates, weight_decay=WEIGHT_DECAY)
    adapted.module.requires_grad_(False)
    family = Family(members[0].method, net.requires_grad_(False), adapted, {})
    ours, theirs = _proof(family, pools, proof, embedding, embedder)
    if ours < theirs:
        raise NotLearnedError(
            f"of people whom it never saw it names {ours:.3f} in {steps} steps, the embedder alone {theirs:.3f}"
        )
    facts = {
        "steps": steps,
        "seconds": round(time.perf_counter() - start, 1),
        "members": [repr(member) for member in members],
        "named": ours,
        "unprepared": theirs,
    }
    return replace(family, facts=facts)


@torch.no_grad()
def pool_of(
    member: Anonymizer,
    faces: Faces,
    generator: torch.Generator,
    *,
    context: Context,
    prior: inverse.Prior,
    publish: Callable[[Tensor], Tensor] | None,
    among: Tensor,
) -> Pool:
    """Anonymize faces by a member, and undo them as far as the method itself says how."""
    device = faces.images.device
    place = torch.randperm(len(faces), generator=generator)[:FACES].sort().values
    some = faces.take(place)
    released = member(some, context)
    if publish is not None:
        released = publish(released)
    linear = member.linear(faces.size, faces.scale)
    guess = released
    if linear is not None:
        guess = inverse.fit(linear.to(device), prior, some.images, released)(released)
    return Pool(member, condition_of(member).to(device), released, guess, place.to(among.device))


def condition_of(anonymizer: Anonymizer) -> Tensor:
    """Place the hyperparameters in their ranges, (C,) float32 in [0, 1]; a choice takes a number for each value."""
    values = anonymizer.hyperparameters()
    placed = [x for name, over in anonymizer.ranges().items() for x in over.place(values[name])]
    return torch.tensor(placed or [0.0])


def _fresh(method: str, seed: int) -> UNet:
    width = sum(len(over.place(over.corners()[0])) for over in ANONYMIZERS[method].ranges().values())
    net = UNet(torch.Generator().manual_seed(seed), SHARE, max(1, width), FOLD, WIDTHS)
    return net.to(memory_format=torch.channels_last)


def _seconds_of(step: Callable[[], object]) -> float:
    """Time one step, after another one."""
    step()
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _proof(
    family: Family, pools: Sequence[Pool], proof: Tensor, embedding: Tensor, embedder: Differentiable
) -> tuple[float, float]:
    """Return the share of faces of people left out that are nearest to their own clear face, with and without it."""
    ours, theirs, count = 0.0, 0.0, 0
    for pool in pools:
        rows = torch.nonzero(proof[pool.place])[:, 0]
        if not len(rows):
            continue
        released, place = pool.released[rows], pool.place[rows]
        ours += len(rows) * named(family.embed(pool.anonymizer, released, pool.guess[rows]), embedding, place)
        with torch.no_grad():
            theirs += len(rows) * named(embedder.embed(released), embedding, place)
        count += len(rows)
    return ours / max(1, count), theirs / max(1, count)
