"""Splits: who serves what, by identity and seeded; and the protocol of it, in which no picture stands on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from anonymizers import Faces
from evaluators.datasets.duplicates import near_duplicates
from evaluators.datasets.protocol import ROLES, Protocol

T = TypeVar("T")


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
) -> Split:
    """Split people into background, attacker and evaluation, and the last one's pictures into gallery and probe.

    By default half of the people are evaluated, drawn among those with at least two pictures, and the others serve in
    equal parts as attacker and background. With `min_pictures` all people with so many are evaluated, and two thirds of
    the others serve as attacker. Half of each evaluation person's pictures, rounded down, are in the gallery.

    Args:
        pictures_per_person: name -> number of pictures; its order does not matter.
        seed: of all draws.
        min_pictures: that an evaluation person has, at least 2.
        max_pictures: drawn of each person, at least 2; None for all.

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
    able = [name for name in names if pictures_per_person[name] >= needed]
    if len(able) < 2:
        raise ValueError(
            f"--min-pictures: expected at least 2 people with {needed} pictures or more, got {len(able)} of "
            f"{len(names)}; lower it or give more pictures"
        )
    if min_pictures is None:
        able = [able[i] for i in sorted(rng.permutation(len(able))[: max(2, len(names) // 2)])]
    chosen = set(able)
    others = [name for name in names if name not in chosen]
    if not others:
        raise ValueError(
            f"--data: expected at least 1 person beside the {len(able)} evaluated ones, for the attackers to train on, "
            "got 0; give more people or raise --min-pictures"
        )
    others = [others[i] for i in rng.permutation(len(others))]
    attackers = -(-len(others) // 2) if min_pictures is None else -(-2 * len(others) // 3)
    return Split(
        background=tuple(sorted(others[attackers:])),
        attacker=tuple(sorted(others[:attackers])),
        evaluation=tuple(able),
        pictures={name: tuple(sorted(drawn[name])) for name in names},
        gallery={name: tuple(sorted(drawn[name][: len(drawn[name]) // 2])) for name in able},
        probe={name: tuple(sorted(drawn[name][len(drawn[name]) // 2 :])) for name in able},
    )


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
    is counted in the protocol's facts.

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
