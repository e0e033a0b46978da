"""Rehearsal: a method that mixes the people of a set is tried on sets of the size and rounds of the released one.

k-Same's groups are nearer together the more people there are to choose from, and its rounds hold every person's r-th
picture: a mean of all attacker faces at once is another method than the one that made the release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from anonymizers import Faces


def rehearse(anonymize: Callable[[Faces], Tensor], faces: Faces, released: Faces) -> Tensor:
    """Anonymize faces in sets that have as many people, with as many pictures each, as a released one.

    Every set takes the places of the released pictures: who stands in the place of a person is that person in it. The
    last set is filled up with faces of the others, whose second pictures are thrown away. Faces that do not fill one
    set fill its first rounds.

    Args:
        anonymize: maps the faces of a set to (n, 3, H, W) uint8.
        faces: A, to rehearse on.
        released: N, the set whose size and rounds are rehearsed.

    Returns:
        (A, 3, H, W) uint8, in the order of the faces.
    """
    places = released.identity.cpu()[_by_round(released.identity)][: len(faces)]
    order = _by_round(faces.identity)
    out = torch.empty_like(faces.images)
    for start in range(0, len(faces), len(places)):
        own = order[start : start + len(places)]
        filled = torch.cat((own, order[: len(places) - len(own)]))
        some = replace(faces.take(filled), identity=places.to(faces.identity))
        out[own.to(out.device)] = anonymize(some)[: len(own)]
    return out


def _by_round(identity: Tensor) -> Tensor:
    """Return the places of (N,) people's first pictures, then of their second ones, and so on."""
    seen: dict[int, int] = {}
    nth = []
    for person in identity.tolist():
        nth.append(seen.get(person, 0))
        seen[person] = nth[-1] + 1
    return torch.tensor(nth).argsort(stable=True)
