"""Protocol: whose pictures serve what. It refuses what cannot be measured."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from anonymizers.faces import Faces

ROLES = ("background", "attacker", "gallery", "probe")
LEAST_PEOPLE = 10
"""Of a group: rates of fewer are not told, their intervals would hold nearly everything."""


@dataclass(frozen=True, eq=False)
class Protocol:
    """Hold the faces of a measurement, split by identity.

    Attributes:
        background: people who serve only to build anonymizers; may be empty.
        attacker: other people, on whom attackers and the adapted reader train.
        gallery: clear pictures of the evaluation people, enrolled.
        probe: other pictures of the same people, to be anonymized.
        seed: of the splits; the seeds of anonymizers, attackers and bootstrap derive from it.
        name: of the set of faces.
        expressions: class names of the human labels of `probe.expression`; None where unlabelled.
        facts: what else is known: source, cuts, rejected pictures. Goes into the tables' metadata.
        groups: attribute -> (P,) the group of each enrolled person, in the order of `enrolled`; None where it is not
            known. See `sources.groups`; the digest does not know of them.

    Raises:
        ValueError: if a person stands on two sides, a probe's person is not enrolled, a set is empty, fewer than two
            people are enrolled, or a picture is on two sides.
    """

    background: Faces
    attacker: Faces
    gallery: Faces
    probe: Faces
    seed: int
    name: str
    expressions: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        people = {role: set(getattr(self, role).identity.tolist()) for role in ROLES}
        for role in ("attacker", "gallery", "probe"):
            if not people[role]:
                raise ValueError(f"Protocol {self.name}: expected faces in {role}, got none; give more pictures")
        if people["gallery"] != people["probe"]:
            odd = sorted(people["gallery"] ^ people["probe"])
            raise ValueError(
                f"Protocol {self.name}: expected the same people in gallery and probe (identification needs two "
                f"pictures of each), got {len(odd)} people in one of them only, first {odd[:3]}"
            )
        if len(people["gallery"]) < 2:
            raise ValueError(f"Protocol {self.name}: expected at least 2 enrolled people, got 1")
        for a, b in (("background", "attacker"), ("background", "gallery"), ("attacker", "gallery")):
            if shared := people[a] & people[b]:
                raise ValueError(
                    f"Protocol {self.name}: {len(shared)} people stand in both {a} and {b}; split by identity"
                )
        keys = [key for role in ROLES for key in getattr(self, role).key]
        if len(set(keys)) != len(keys):
            raise ValueError(f"Protocol {self.name}: {len(keys) - len(set(keys))} pictures stand on two sides")

    @functools.cached_property
    def enrolled(self) -> Tensor:
        """Return the (P,) int64 identities of the enrolled people, ascending; a person's place here is his index."""
        enrolled: Tensor = self.gallery.identity.unique()
        return enrolled

    def person(self, faces: Faces) -> Tensor:
        """Return the (N,) int64 index in `enrolled` of each face's person."""
        return torch.searchsorted(self.enrolled, faces.identity)

    @property
    def parts(self) -> dict[tuple[str, str], Tensor]:
        """Return the probes of each group with LEAST_PEOPLE or more: (attribute, group) -> (n,) int64 rows."""
        person = self.person(self.probe).cpu()
        found = {}
        for attribute, group_of in self.groups.items():
            for group in sorted({one for one in group_of if one is not None}):
                among = torch.tensor([one == group for one in group_of])
                if int(among.sum()) >= LEAST_PEOPLE:
                    found[attribute, group] = torch.nonzero(among[person])[:, 0]
        return found

    @functools.cached_property
    def digest(self) -> str:
        """Return the SHA-256 over all pixels, labels, keys and the seed."""
        sha = hashlib.sha256(f"protocol 1, seed {self.seed}, {self.expressions}".encode())
        for role in ROLES:
            faces: Faces = getattr(self, role)
            sha.update(f"\n{role} {tuple(faces.images.shape)}\n".encode())
            for tensor in (faces.images, faces.identity, faces.expression):
                sha.update(tensor.cpu().contiguous().numpy().tobytes())
            sha.update("\0".join(faces.key).encode(errors="surrogateescape"))
        return sha.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the facts that go into tables and report, ready for JSON."""
        counts = {f"n_{role}": len(getattr(self, role)) for role in ROLES}
        return {
            "name": self.name,
            "digest": self.digest,
            "seed": self.seed,
            "n_people": int(self.enrolled.numel()),
            **counts,
            "n_attacker_people": self.attacker.people,
            "n_background_people": self.background.people,
            "crop_px": self.probe.size,
            "expressions": list(self.expressions) if self.expressions else None,
            **self.facts,
        }
