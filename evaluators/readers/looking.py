"""Looking: the features that readers read from, of pictures as they were released or undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from evaluators.networks.roles import Nets
from evaluators.readers.heads import fit_heads
from evaluators.readers.sight import Sight

if TYPE_CHECKING:
    from evaluators.attackers.evidence import Evidence
    from evaluators.readers.shown import Learned

OF_EACH = 2
"""Pictures of a person, where a part of the people's faces will do."""
ASKED = 240
"""Attacker faces on which it is found out whether readers learn more from undone pictures."""


def sight_of(
    evidence: Evidence, rows: Tensor, person: Tensor, targets: Mapping[str, Tensor], learned: Learned
) -> Sight:
    """Look at the pictures of one configuration.

    Where the method says how it mixes pixels, they are looked at undone if people who were left out are read better so,
    on a part of the attacker faces; one decision for all judges, which teaches nobody a code.

    Args:
        evidence: of the configuration.
        rows: (A,) int64, attacker faces that readers learn on.
        person: (A,) int64, whose they are.
        targets: judge -> what he says of these faces as they were.
        learned: what the shown reader has learned.
    """
    nets, undo = evidence.nets, evidence.inverse
    some = a_few_of_each(person, ASKED).to(rows.device)
    rest = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    rest[some] = False

    def released(part: Tensor) -> tuple[Tensor, list[int]]:
        known = {nets.teacher.name: evidence.attacker_reading.features[part]}
        return look(evidence.attacker[part], nets, evidence.attacker_embedding[part], known)

    if undo is None:
        attacker, blocks = released(rows)
    else:
        part, blocks = released(rows[some])
        undone, _ = look(undo(evidence.attacker[rows[some]]), nets)
        told = {judge: said[some] for judge, said in targets.items()}
        if _readable(undone, told, person[some], blocks) > _readable(part, told, person[some], blocks):
            part = undone
        else:
            undo = None
        attacker = part.new_empty(len(rows), part.shape[1])
        attacker[some] = part
        if rest.any():  # people with few pictures have none left, and a network is asked for no empty batch
            left = rows[rest]
            attacker[rest], _ = released(left) if undo is None else look(undo(evidence.attacker[left]), nets)
    if undo is None:
        known = {nets.teacher.name: evidence.probe_reading.features}
        probe, _ = look(evidence.probe, nets, evidence.probe_embedding, known)
    else:
        probe, _ = look(undo(evidence.probe), nets, evidence.undone_probe_embedding)
    return Sight(probe, attacker, person, blocks, targets, learned)


def _readable(features: Tensor, targets: Mapping[str, Tensor], person: Tensor, blocks: Sequence[int]) -> float:
    """Return how well people who are left out are read, the mean over judges."""
    heads = fit_heads(features, targets, person, blocks)
    return sum(head.left_out for head in heads.values()) / len(heads)


def a_few_of_each(person: Tensor, most: int) -> Tensor:
    """Return at most so many places, evenly among every person's first OF_EACH faces."""
    seen: dict[int, int] = {}
    places = []
    for place, one in enumerate(person.tolist()):
        seen[one] = seen.get(one, 0) + 1
        if seen[one] <= OF_EACH:
            places.append(place)
    return torch.tensor(places)[torch.linspace(0, len(places) - 1, min(most, len(places))).long()]


def look(
    images: Tensor, nets: Nets, embedding: Tensor | None = None, features: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, list[int]]:
    """Collect the features that readers read from.

    Args:
        images: (N, 3, S, S) uint8.
        nets: embedder, teachers and describers.
        embedding: of the images, where it is known.
        features: of the images, by some of the teachers, where they are known.

    Returns:
        (N, F) float32, and the widths of the networks' shares.
    """
    features = features or {}
    parts = [nets.embedder(images) if embedding is None else embedding]
    for net in nets.teachers:
        parts.append(features[net.name] if net.name in features else net(images).features)
    for describer in nets.describers:
        if describer.looks:
            said = describer(images)
            found = said.isfinite().all(1, keepdim=True)
            parts.append(torch.cat((torch.where(found, said, 0.0), found.to(said)), 1))
    return torch.cat([part.float() for part in parts], 1), [part.shape[1] for part in parts]
