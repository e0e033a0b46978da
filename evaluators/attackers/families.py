"""Families: what the attacker of_family learns of every method of a space, once, before the first trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from anonymizers import Anonymizer, Context
from evaluators.attackers.evidence import ATTACKER_SEED_OFFSET
from evaluators.attackers.learning.family import NotLearnedError, learn
from evaluators.attackers.learning.inverse import prior_of
from evaluators.datasets.protocol import Protocol
from evaluators.datasets.publishing import publishing
from evaluators.networks.roles import Nets
from evaluators.networks.signals import with_measured


def learn_families(
    protocol: Protocol,
    nets: Nets,
    members: Mapping[str, Sequence[Anonymizer]],
    *,
    seconds: float,
    device: torch.device | str = "cpu",
    publish: str = "png",
    batch_size: int = 128,
    told: Callable[[str], None] = lambda step: None,
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Learn every method on attacker people, one after the other, each in its share of the time that is left.

    Args:
        protocol: whose attacker people serve.
        nets: with an embedder that has gradients.
        members: method -> configurations, spread over what may be tried of it.
        seconds: for all of them.
        device: where faces and networks live.
        publish: what is done to released pictures before anybody sees them, see `publishing`.
        batch_size: pictures an anonymizer works on at a time.
        told: is told of each method.

    Returns:
        method -> its family, packed; and method -> why there is none.
    """
    families: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    net = nets.differentiable
    if net is None:
        return {}, dict.fromkeys(members, "the embedder has no gradients")
    start = time.perf_counter()
    faces = with_measured(protocol.attacker.to(torch.device(device)), nets.signals)
    with torch.no_grad():
        embedding = nets.embedder(faces.images)
    prior = prior_of(faces.images)
    needs = {name for some in members.values() for one in some for name in one.background_needs}
    measures = {name: measure for name, measure in nets.signals.items() if name in needs}
    context = Context(
        seed=protocol.seed + ATTACKER_SEED_OFFSET,
        batch_size=batch_size,
        background=with_measured(protocol.background.to(torch.device(device)), measures),
        models=nets.models,
        embed=net.embed,
        embedder=net.name,
    )
    for place, (method, some) in enumerate(members.items()):
        told(f"an attacker learns {method}, {len(some)} configurations of it, {place + 1} of {len(members)}")
        share = (seconds - (time.perf_counter() - start)) / (len(members) - place)
        try:
            family = learn(
                some, faces, embedding, net, context=context, prior=prior, publish=publishing(publish), seconds=share
            )
        except (NotLearnedError, ValueError) as reason:
            left_out[method] = str(reason)
            continue
        families[method] = family.packed()
    return families, left_out
