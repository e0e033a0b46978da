"""Splits: who serves what, by identity and seeded; and the protocol of it, in which no picture stands on two sides."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from anonymizers import Faces
from anonymizers.faces import named
from anonymizers.generative.resident import person_digest
from evaluators.datasets.duplicates import near_duplicates
from evaluators.datasets.protocol import ROLES, Protocol

T = TypeVar("T")

KEY = b"serves as background"
"""Of the hash of people's names."""
BACKGROUND = 1 / 4
"""Share of all people who serve as background, whatever the seed."""
BACKGROUND_OF_OTHERS = 1 / 3
"""With --min-pictures: share of those who are not evaluated. The quarter is among them."""


def is_background(name: str, share: float = BACKGROUND) -> bool:
    """Tell whether a person serves as background, by a keyed hash of the name.

    Neither a seed nor which pictures were usable decides, so that what was trained on the background of one search
    stays usable in every other.

    Args:
        name: of the person in the source's own terms.
        share: of all people; who serves with a small share serves with a larger one.
    """
    composed = unicodedata.normalize("NFC", name).encode(errors="surrogateescape")
    place = int.from_bytes(hashlib.blake2b(composed, key=KEY, digest_size=8).digest(), "big")
    return place < share * 2**64


@dataclass(frozen=True)
class Rejected:
    """Name a picture that was left out (key: path relative to the root) and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Split:
    """Say whose pictures serve what.

    Attributes:
        background, attacker, evaluation: names of people, disjoint.
        pictures: for every person, the indices of the pictures that were drawn.
        gallery, probe: for every evaluation person, which of them are enrolled and which are searched with.
    """

    background: tuple[str, ...]
    attacker: tuple[str, ...]
    evaluation: tuple[str, ...]
    pictures: Mapping[str, tuple[int, ...]]
    gallery: Mapping[str, tuple[int, ...]]
    probe: Mapping[str, tuple[int, ...]]


def split_people(
    pictures_per_person: Mapping[str, int],
    *,
    seed: int,
    min_pictures: int | None = None,
    max_pictures: int | None = None,
    trained: Collection[str] = (),
) -> Split:
    """Split people into background, attacker and evaluation, and the last one's pictures into gallery and probe.

    By default a quarter of the people is background, by `is_background`; of the others two thirds are evaluated, drawn
    among those with at least two pictures, and the rest serves as attacker. With `min_pictures` all people with so many
    are evaluated, and of the others a third is background and the rest attacker. Half of each evaluation person's
    pictures, rounded down, are in the gallery.

    Args:
        pictures_per_person: name -> number of pictures; its order does not matter.
        seed: of all draws but the background.
        min_pictures: that an evaluation person has, at least 2.
        max_pictures: drawn of each person, at least 2; None for all.
        trained: digests of people whom a network of the search was trained on; they are background, whatever else.

    Raises:
        ValueError: if fewer than 2 people can be evaluated, nobody is left as attacker, or an argument is below 2.
    """
    for option, value in (("min", min_pictures), ("max", max_pictures)):
        if value is not None and value < 2:
            raise ValueError(f"--{option}-pictures: expected at least 2 (gallery and probe), got {value}")
    rng = np.random.default_rng(seed)
    names = sorted(pictures_per_person)
    drawn = {name: rng.permutation(pictures_per_person[name])[:max_pictures].tolist() for name in names}
    needed = min_pictures or 2
    background = set(trained_among(names, trained))
    if min_pictures is None:
        background |= {name for name in names if is_background(name)}
    able = [name for name in names if pictures_per_person[name] >= needed and name not in background]
    if len(able) < 2:
        aside = f"; {len(background)} are background by their names" if background else ""
        raise ValueError(
            f"--min-pictures: expected at least 2 people with {needed} pictures or more, got {len(able)} of "
            f"{len(names)}{aside}; lower it or give more pictures"
        )
    if min_pictures is None:
        most = max(2, (len(names) - len(background)) * 2 // 3)
        able = [able[i] for i in sorted(rng.permutation(len(able))[:most])]
    else:
        enough = set(able)
        background |= {name for name in names if name not in enough and is_background(name, BACKGROUND_OF_OTHERS)}
    taken = {*able, *background}
    attackers = [name for name in names if name not in taken]
    if not attackers:
        aside = f" and the {len(background)} who are background by their names" if background else ""
        raise ValueError(
            f"--data: expected at least 1 person beside the {len(able)} evaluated ones{aside}, for the attackers to "
            "train on, got 0; give more people or raise --min-pictures"
        )
    return Split(
        background=tuple(sorted(background)),
        attacker=tuple(attackers),
        evaluation=tuple(able),
        pictures={name: tuple(sorted(drawn[name])) for name in names},
        gallery={name: tuple(sorted(drawn[name][: len(drawn[name]) // 2])) for name in able},
        probe={name: tuple(sorted(drawn[name][len(drawn[name]) // 2 :])) for name in able},
    )


def trained_among(names: Iterable[str], trained: Collection[str]) -> list[str]:
    """Return the people whose digests a network's file has, see `split_people`."""
    return [name for name in names if person_digest(named(name, "")) in trained] if trained else []


def draw(
    people: Mapping[str, Sequence[T]], split: Split, *, seed: int, attacker_faces: int, background_faces: int
) -> dict[str, list[tuple[str, T]]]:
    """Draw the pictures that serve.

    Args:
        people: name -> pictures, of whatever kind; the split's numbers index them.
        split: of these people.
        seed: of the draws.
        attacker_faces, background_faces: at most so many are drawn.

    Returns:
        role -> (person, picture).
    """
    chosen = {
        "gallery": [(name, people[name][i]) for name in split.evaluation for i in split.gallery[name]],
        "probe": [(name, people[name][i]) for name in split.evaluation for i in split.probe[name]],
    }
    others = (("attacker", split.attacker, attacker_faces), ("background", split.background, background_faces))
    for stream, (role, names, most) in enumerate(others, start=1):
        pairs = [(name, people[name][i]) for name in names for i in split.pictures[name]]
        order = np.random.default_rng([seed, stream]).permutation(len(pairs))[:most]
        chosen[role] = [pairs[i] for i in sorted(order)]
    return chosen


def split_protocol(
    faces: Faces,
    roles: Sequence[str],
    rejected: Sequence[Rejected],
    *,
    names: Sequence[str],
    split: Split,
    seed: int,
    name: str,
    facts: Mapping[str, Any],
    expressions: tuple[str, ...] | None = None,
) -> Protocol:
    """Make a protocol of the faces that were drawn and found.

    A near-duplicate of a picture on another side is left out, on the side that matters less (probe, gallery, attacker,
    background); people who thereby lose their last gallery or probe picture leave the evaluation. Whatever is left out
    is counted in the protocol's facts. The faces' keys come to name their people, see `named`.

    Args:
        faces: N, of all sides; their identities index `names`.
        roles: N sides, of ROLES.
        rejected: pictures that were drawn but gave no face.
        names: of people.
        split: by which the pictures were drawn.
        seed: of the split.
        name: of the set.
        facts: further facts.
        expressions: names of the faces' labels; None where unlabelled.

    Raises:
        ValueError: if fewer than 2 people have gallery and probe faces, or no attacker person is left.
    """
    people = [names[i] for i in faces.identity.tolist()]
    faces = replace(faces, key=tuple(named(person, key) for person, key in zip(people, faces.key, strict=True)))
    kept, dropped = _sort_out(faces, roles)
    rejected = [*rejected, *dropped]
    reasons = Counter(reject.reason.partition(" of ")[0] for reject in rejected)
    enrolled = {role: {int(faces.identity[i]) for i in kept if roles[i] == role} for role in ROLES}
    if len(enrolled["gallery"]) < 2 or not enrolled["attacker"]:
        raise ValueError(
            f"--data: expected at least 2 people with a gallery and a probe face and 1 attacker person, got "
            f"{len(enrolled['gallery'])} and {len(enrolled['attacker'])} in {name} after {dict(reasons)}; give other "
            "pictures"
        )
    counted: dict[str, Any] = {
        **facts,
        "rejected": len(rejected),
        "rejected_reasons": dict(reasons),
        "rejected_pictures": {reject.key: reject.reason for reject in rejected},
        "left_evaluation": sorted(set(split.evaluation) - {names[i] for i in enrolled["gallery"]}),
    }
    background, attacker, gallery, probe = (faces.take([i for i in kept if roles[i] == role]) for role in ROLES)
    return Protocol(background, attacker, gallery, probe, seed=seed, name=name, expressions=expressions, facts=counted)


def _sort_out(faces: Faces, roles: Sequence[str]) -> tuple[list[int], list[Rejected]]:
    """Drop pictures that stand on two sides, and then people without gallery or probe."""
    twins = near_duplicates(faces.images, torch.tensor([ROLES.index(role) for role in roles], dtype=torch.int64))
    rejected = [Rejected(faces.key[i], f"near-duplicate of {faces.key[j]}") for i, j in twins.items()]
    left = [i for i in range(len(faces)) if i not in twins]
    who = {role: {int(faces.identity[i]) for i in left if roles[i] == role} for role in ("gallery", "probe")}
    kept = []
    for i in left:
        lacking = [role for role in who if roles[i] in who and int(faces.identity[i]) not in who[role]]
        if lacking:
            rejected.append(Rejected(faces.key[i], f"the person's last {lacking[0]} picture was rejected"))
        else:
            kept.append(i)
    return kept, rejected
