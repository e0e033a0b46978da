"""The demo world as a protocol: rendered people that no network of the project was trained on."""

from __future__ import annotations

import torch

from anonymizers import TEMPLATE_SIZE, Faces
from evaluators.datasets.protocol import Protocol
from evaluators.demo.faces import DemoFaces, people
from evaluators.demo.geometry import EXPRESSIONS, draw_pictures

FIRST_PERSON = 10_000
"""People below this number train the demo networks."""
PEOPLE_PER_SEED = 1_000


def demo_protocol(
    *,
    seed: int = 0,
    evaluated: int = 60,
    pictures: int = 6,
    attacker: int = 120,
    background: int = 120,
    size: int = 112,
) -> Protocol:
    """Render a protocol: each seed gives other people.

    Args:
        seed: of people and pictures.
        evaluated: people enrolled and probed; half of their pictures in the gallery.
        pictures: of each person, at least 2.
        attacker: people on whom attackers and the adapted reader train.
        background: people who serve only to build anonymizers.
        size: side of the crops, px.

    Raises:
        ValueError: if `pictures` is below 2 or the people do not fit a seed's share.
    """
    if pictures < 2:
        raise ValueError(f"demo: expected at least 2 pictures per person (gallery and probe), got {pictures}")
    if evaluated + attacker + background > PEOPLE_PER_SEED:
        raise ValueError(f"demo: expected at most {PEOPLE_PER_SEED} people, got {evaluated + attacker + background}")
    first = FIRST_PERSON + PEOPLE_PER_SEED * seed
    drawn = faces_of(people(first, evaluated, pictures, seed=seed, size=size), seed)
    nth = torch.arange(evaluated * pictures) % pictures
    first += evaluated
    return Protocol(
        attacker=faces_of(people(first, attacker, pictures, seed=seed, size=size), seed),
        background=faces_of(people(first + attacker, background, pictures, seed=seed, size=size), seed),
        gallery=drawn.take(torch.nonzero(nth < pictures // 2)[:, 0]),
        probe=drawn.take(torch.nonzero(nth >= pictures // 2)[:, 0]),
        seed=seed,
        name="demo",
        expressions=EXPRESSIONS,
        facts={"source": "rendered by evaluators/demo/faces.py", "rejected": 0},
    )


def faces_of(drawn: DemoFaces, seed: int = 0) -> Faces:
    """Make faces of rendered ones; what is true of them becomes signals.

    Args:
        drawn: as `people` renders them, all pictures of a person.
        seed: that they were rendered with.
    """
    count: dict[int, int] = {}
    pictures = []
    for person in drawn.identity.tolist():
        count[person] = count.get(person, -1) + 1
        pictures.append(count[person])
    identity = drawn.identity.tolist()
    keys = [f"person{person}/picture{picture}" for person, picture in zip(identity, pictures, strict=True)]
    shot, _ = draw_pictures(seed, identity, pictures, 1)
    signals = {
        "landmarks68": drawn.landmarks68 * (TEMPLATE_SIZE / drawn.images.shape[-1]),
        "parsing": drawn.parsing,
        "expression": drawn.expression.to(torch.uint8)[:, None],
        "coefficients": drawn.coefficients,
        "pose": torch.stack([shot[name] for name in ("yaw", "pitch", "roll")], 1),
    }
    return Faces(drawn.images, drawn.identity, drawn.expression, tuple(keys), signals)
