"""Prepared faces: found, aligned and listed once, then measured as often as wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from anonymizers import Faces
from evaluators.datasets.protocol import ROLES, Protocol
from evaluators.datasets.split import draw, split_people, split_protocol, trained_among


@dataclass(frozen=True, eq=False)
class Prepared:
    """Hold a prepared set.

    Attributes:
        faces: N aligned crops; the identities index `people`, the expressions `expressions`.
        context: (N, 3, C, C) uint8 RGB in [0, 255], the same faces with `MARGIN` around them.
        landmarks: (N, 5, 2) float32, (x, y) in px of the upright pictures.
        people: names.
        expressions: names of the labels; None where nobody labelled.
        name: of the set.
        facts: what the preparation recorded.
    """

    faces: Faces
    context: Tensor
    landmarks: Tensor
    people: tuple[str, ...]
    expressions: tuple[str, ...] | None
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def protocol_of(
    prepared: Prepared,
    *,
    seed: int = 0,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
    attacker_faces: int = 2500,
    background_faces: int = 2500,
    trained: Collection[str] = (),
) -> Protocol:
    """Make a protocol of a prepared set; of the same pictures it is the one that `folder_protocol` makes.

    Args:
        prepared: the set.
        seed: of the split and of all draws.
        min_pictures, max_pictures: as in `split_people`.
        attacker_faces, background_faces: at most so many are drawn.
        trained: as in `split_people`.

    Raises:
        ValueError: if the set cannot carry the measurement.
    """
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(prepared.faces.identity.tolist()):
        rows.setdefault(prepared.people[person], []).append(row)
    if max(map(len, rows.values()), default=0) < 2:
        raise ValueError(
            "--data: expected people with at least 2 pictures (identification needs one in the gallery, one as probe), "
            f"each of the {len(rows)} people in {prepared.name} has 1"
        )
    split = split_people(
        {name: len(of_person) for name, of_person in rows.items()},
        seed=seed,
        min_pictures=min_pictures,
        max_pictures=max_pictures,
        trained=trained,
    )
    chosen = draw(rows, split, seed=seed, attacker_faces=attacker_faces, background_faces=background_faces)
    drawn = [(role, row) for role in ROLES for _, row in chosen[role]]
    return split_protocol(
        prepared.faces.take([row for _, row in drawn]),
        [role for role, _ in drawn],
        [],
        names=prepared.people,
        split=split,
        seed=seed,
        name=prepared.name,
        expressions=prepared.expressions,
        facts={
            "source": f"prepared {prepared.name}: {len(prepared.faces)} faces of {len(rows)} people",
            "min_pictures": min_pictures,
            "max_pictures": max_pictures,
            "n_people_trained_on": len(trained_among(rows, trained)),
            "n_read": len(drawn),
            "preparation": dict(prepared.facts),
        },
    )
