"""Overlap: which people and pictures of a measurement an earlier one had, told by digests alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from anonymizers.generative.resident import person_digest
from evaluators.datasets.protocol import ROLES, Protocol

EVALUATED = ("gallery", "probe")
SIDES = {"evaluation": EVALUATED, "attacker": ("attacker",), "background": ("background",)}
"""What a person serves as -> the roles of his pictures."""
Served = Mapping[str, Sequence[str]]
"""`role`, `person`, `key` and `pixels`, one entry a picture, of `served_by`."""


def served_by(protocol: Protocol) -> dict[str, list[str]]:
    """List who served as what: a role for each picture, and digests of its person, its key and its pixels."""
    out: dict[str, list[str]] = {"role": [], "person": [], "key": [], "pixels": []}
    for role in ROLES:
        faces = getattr(protocol, role)
        for key, image in zip(faces.key, faces.images.cpu(), strict=True):
            out["role"].append(role)
            out["person"].append(person_digest(key))
            out["key"].append(_digits(key.encode(errors="surrogateescape")))
            out["pixels"].append(_digits(image.contiguous().numpy().tobytes()))
    return out


def overlap(before: Served, now: Served) -> dict[str, Any]:
    """Count the evaluation people of a measurement, and their pictures, that an earlier one had.

    A picture is the same if its key is, or its pixels are, under whatever name.

    Args:
        before: of the earlier protocol.
        now: of this one.

    Returns:
        `n_people` and `n_pictures` evaluated now; of those `people`, side of SIDES -> how many served so before, and
        `pictures`, role -> how many served so before; ready for JSON.
    """
    side_of = {role: side for side, roles in SIDES.items() for role in roles}
    person_was = {person: side_of[role] for role, person in zip(before["role"], before["person"], strict=True)}
    picture_was = {
        digest: role
        for column in ("pixels", "key")
        for role, digest in zip(before["role"], before[column], strict=True)
    }
    rows = [
        (person, key, pixels)
        for role, person, key, pixels in zip(*(now[name] for name in ("role", "person", "key", "pixels")), strict=True)
        if role in EVALUATED
    ]
    people = dict.fromkeys(person for person, _, _ in rows)
    sides = Counter(person_was[person] for person in people if person in person_was)
    found = (picture_was.get(key, picture_was.get(pixels)) for _, key, pixels in rows)
    roles = Counter(role for role in found if role is not None)
    return {
        "n_people": len(people),
        "n_pictures": len(rows),
        "people": {side: sides[side] for side in SIDES},
        "pictures": {role: roles[role] for role in ROLES},
    }


def _digits(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
