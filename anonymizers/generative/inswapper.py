from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonymizers.base import Anonymizer, Context, of_face
from anonymizers.classical.regions import mask
from anonymizers.faces import TEMPLATE_SIZE, Faces
from anonymizers.generative.resident import opened
from anonymizers.ranges import Integer, ranged

SIDE = 128
LEFT, BELOW = 8, 16
"""What the network sees beyond the 112 px crop, on both sides and below, px; the border is repeated there."""
EMBEDDER = "buffalo_l"


@dataclass(frozen=True)
class Inswapper(Anonymizer):
    """Swap in the identity of a person of the background, by InsightFace's inswapper.

    The network keeps pose, light and expression, and takes the identity from an embedding of w600k_r50, which is the
    embedder buffalo_l here: the one that searches must be it, for the background's embeddings to be of that kind.

    Source: github.com/deepinsight/insightface, inswapper_128; non-commercial research.

    Attributes:
        people: of the background whose embeddings are averaged into the one that is swapped in; drawn anew per picture.
    """

    method: ClassVar[str] = "inswapper"
    needs_embedder: ClassVar[bool] = True
    weights: ClassVar[str] = "generation/inswapper_128.onnx"
    weights_from: ClassVar[str] = "InsightFace gives it out no longer; put your copy there"
    people: int = ranged(Integer(1, 8, unit="people"), default=1)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Draw the people, swap, and put the face back into the ellipse.

        Raises:
            ValueError: if the network is missing, the background has too few people, or another embedder searches.
        """
        net = opened(self.weights_file(context.models), _swapper)
        known = self._background(context)
        out = torch.empty_like(faces.images)
        for place, (key, image) in enumerate(zip(faces.key, faces.images, strict=True)):
            drawn = torch.randperm(len(known), generator=of_face(key, context.seed, "inswapper"))[: self.people]
            identity = functional.normalize(known[drawn].mean(0), dim=0).cpu().numpy()
            out[place] = _swapped(net, image, identity)
        return torch.where(mask("face", faces.size, faces.images.device), out, faces.images)

    def _background(self, context: Context) -> Tensor:
        """Return the (P, 512) mean embeddings of the background's people."""
        if context.embed is None or context.embedder != EMBEDDER:
            raise ValueError(
                f"{self!r}: expected the embedder {EMBEDDER}, on whose embeddings the network was trained, got "
                f"{context.embedder or 'none'}; search with --embedder {EMBEDDER}"
            )
        faces = context.background
        if faces is None or faces.people < self.people:
            raise ValueError(
                f"{self!r}: expected at least {self.people} people in the background, got "
                f"{0 if faces is None else faces.people}; give more people"
            )
        with torch.no_grad():
            every = torch.cat([context.embed(part.float()) for part in faces.images.split(context.batch_size)])
        person = faces.identity.unique(return_inverse=True)[1].to(every.device)
        return functional.normalize(
            torch.zeros(faces.people, every.shape[1], device=every.device).index_add_(0, person, every)
        )


def _swapper(path: str) -> Any:
    import onnxruntime
    from insightface.model_zoo.inswapper import INSwapper

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the shape of its input
        return INSwapper(path, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))


def _swapped(net: Any, image: Tensor, identity: np.ndarray) -> Tensor:
    """Swap one (3, S, S) uint8 crop; insightface's own alignment is left out, since the crop is aligned."""
    size = image.shape[-1]
    small = functional.interpolate(image[None].float(), size=(TEMPLATE_SIZE, TEMPLATE_SIZE), mode="bilinear")
    wide = functional.pad(small, (LEFT, LEFT, 0, BELOW), mode="replicate")
    latent = identity[None] @ net.emap
    latent = latent / np.linalg.norm(latent)
    names = dict(zip(net.input_names, ((wide / 255).cpu().numpy(), latent.astype(np.float32)), strict=True))
    drawn = torch.from_numpy(net.session.run(net.output_names, names)[0])
    face = drawn[..., :TEMPLATE_SIZE, LEFT : LEFT + TEMPLATE_SIZE] * 255
    return functional.interpolate(face, size=(size, size), mode="bilinear")[0].round().clamp(0, 255).to(image)
