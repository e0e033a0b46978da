from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, batches, of_face, padded
from anonymizers.faces import Faces
from anonymizers.generative.conditioning import CONDITIONINGS, given, inputs, told, words
from anonymizers.generative.nets.noisy_unet import CODES, SIDE, NoisyUNet, sample
from anonymizers.generative.resident import recipe_of, refuse_trained_on, resident, trained_network
from anonymizers.ranges import Choice, Integer, Real, ranged

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Generators that were trained by `python -m orchestrator.train`, on demo faces and on photographs."""
VARIANTS = (
    "none-both",
    "landmarks-both",
    "parsing-both",
    "expression-both",
    "both-both",
    "both-none",
    "both-kd_logit",
    "both-feature",
)
"""Conditioning and expression loss of the training."""
BATCH = 16
"""Faces at a time, filled up where fewer are left: a network's rounding depends on the shape."""


@dataclass(frozen=True)
class Generator(Anonymizer):
    """Draw another person with the same expression: the project's own generator.

    The source reaches the picture through two narrow, noisy codes (`nets/noisy_unet.py`); the person who is drawn
    comes from the distribution of the training people's embeddings, which the file of the network holds. Every
    picture gets a person of its own, so that two pictures of one person are not linked by what is drawn.

    Attributes:
        variant: conditioning and expression loss that the network was trained with.
        candidates: identities drawn per face, of which the farthest from the source is taken; 1 looks at no source,
            more tell an attacker whose face it is not.
        noise: of the codes, in the deviations that training gave it; 1 is what it was trained with.
    """

    method: ClassVar[str] = "generator"
    needs: ClassVar[tuple[str, ...]] = ("landmarks68", "parsing", "expression")
    needs_embedder: ClassVar[bool] = True
    weights_from: ClassVar[str] = (
        "train it with python -m orchestrator.train --space expression_loss_ablation or conditioning_ablation"
    )
    variant: str = ranged(Choice(VARIANTS), default="both-both")
    candidates: int = ranged(Integer(1, 16, unit="identities", log=True), default=1)
    noise: float = ranged(Real(0.0, 2.0, unit="deviations"), default=1.0)

    def needed(self) -> tuple[str, ...]:
        """Return the signals of the conditioning."""
        return CONDITIONINGS[self.variant.split("-")[0]]

    def network(self, models: Path | None) -> Path:
        """Return the file of the variant: for photographs the one in `generator/` of the models, else the project's.

        Raises:
            ValueError: if it is missing.
        """
        return trained_network(WEIGHTS, self.variant, models, repr(self), self.weights_from)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Encode, draw an identity, decode.

        Raises:
            ValueError: if the network is missing or was trained on one of these people, or the context's embedder is
                not the one it was trained with.
        """
        path = self.network(context.models)
        net, recipe = load_generator(path, faces.images.device)
        refuse_trained_on(path, faces.key, repr(self))
        conditioning = recipe["conditioning"]
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), BATCH):
            few = faces.take(range(part.start, part.stop))
            draws = [of_face(key, context.seed, "generator") for key in few.key]
            shown = padded(given(few, conditioning, recipe["context"]), BATCH)
            said = padded(told(few, conditioning), BATCH)
            noise = [torch.stack([torch.randn(c, s, s, generator=draw) for draw in draws]) for c, s in CODES]
            noise = [padded(n, BATCH).to(shown) for n in noise]
            target = self._targets(few, draws, net, context)
            target = padded(target, BATCH)
            with torch.no_grad():
                drawn = net.decode(sample(net.encode(shown), noise, self.noise), target, said)[: len(few)] * 255
            if faces.size != SIDE:
                drawn = functional.interpolate(drawn, size=(faces.size, faces.size), mode="bilinear")
            out[part] = drawn.round_().clamp_(0, 255).to(torch.uint8)
        return out

    def _targets(self, few: Faces, draws: list[torch.Generator], net: NoisyUNet, context: Context) -> Tensor:
        """Draw candidates for each face, and return the farthest from its own identity, (B, D) of unit norm."""
        dimension = len(net.get_buffer("identity_mean"))
        candidates = net.identities(
            torch.stack([torch.randn(self.candidates, dimension, generator=draw) for draw in draws])
        )
        if self.candidates == 1:
            return candidates[:, 0]
        if context.embed is None:
            raise ValueError(
                f"{self!r}: expected an embedder in the context to tell which identity is far, got none; load the "
                "networks with differentiable=True, or choose candidates = 1"
            )
        # One face at a time: which candidate is farthest must not turn on the rounding of a batch's shape.
        with torch.no_grad():
            own = torch.cat([context.embed(image[None].float()) for image in few.images])
        if own.shape[1] != candidates.shape[2]:
            raise ValueError(
                f"{self!r}: expected the embedder that it was trained with, of {candidates.shape[2]} dimensions, got "
                f"one of {own.shape[1]}; choose candidates = 1, or train a generator with this embedder"
            )
        nearest = (candidates @ own[:, :, None])[..., 0]
        return candidates[torch.arange(len(own)), nearest.argmin(1)]


def load_generator(path: Path, device: torch.device) -> tuple[NoisyUNet, dict[str, Any]]:
    """Return the network of a file that `python -m orchestrator.train` wrote, read once per device, and its recipe.

    Raises:
        ValueError: if it is no such file, or names and shapes are not those of its recipe.
    """
    recipe = recipe_of(path)
    shape = {
        "inputs": inputs(recipe["conditioning"]),
        "dimension": recipe["dimension"],
        "width": recipe["width"],
        "words": words(recipe["conditioning"]),
        "means": recipe.get("means", False),
    }
    net = resident(path, device, NoisyUNet, **shape)
    assert isinstance(net, NoisyUNet)
    return net, recipe
