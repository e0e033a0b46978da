"""Cloaks stay within their bound, hide from the embedder that they were made against, and hardly from another."""

from __future__ import annotations

import pytest
import torch

from anonymizers import Cloak, Context
from evaluators.datasets.protocol import Protocol
from evaluators.demo.nets import load_demo_embedder, load_demo_held_out
from evaluators.demo.protocol import demo_protocol


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return demo_protocol(evaluated=20, attacker=2, background=2)


def cosine(embed: object, a: torch.Tensor, b: torch.Tensor) -> float:
    return float((embed(a) * embed(b)).sum(1).mean())  # type: ignore[operator]


def test_a_cloak_fools_its_embedder_and_not_another_family(protocol: Protocol) -> None:
    few = protocol.probe.take(range(20))
    net, other = load_demo_embedder(), load_demo_held_out()
    released = Cloak(epsilon=8)(few, Context(embed=net.embed))
    change = released.int() - few.images.int()
    assert 5 < float(change.abs().float().mean()) <= 8 and int(change.abs().max()) <= 8
    assert cosine(net, few.images, released) < 0
    assert cosine(other, few.images, released) > 0.9
    noise = torch.where(torch.rand(few.images.shape, generator=torch.Generator().manual_seed(0)) < 0.5, -8, 8)
    noisy = (few.images.int() + noise).clamp(0, 255).to(torch.uint8)
    assert cosine(net, few.images, noisy) > 0.9  # as much noise without a direction does not hide anybody


def test_a_face_gets_the_same_cloak_in_any_company_and_another_with_another_seed(protocol: Protocol) -> None:
    context = Context(embed=load_demo_embedder().embed)
    few = protocol.probe.take(range(20))
    released = Cloak(epsilon=4, steps=3)(few, context)
    assert torch.equal(released[17:19], Cloak(epsilon=4, steps=3)(few.take([17, 18]), context))
    other = Cloak(epsilon=4, steps=3)(few, Context(seed=1, embed=context.embed))
    assert not torch.equal(released, other)


def test_more_steps_go_further_and_no_embedder_is_refused(protocol: Protocol) -> None:
    few, net = protocol.probe.take(range(8)), load_demo_embedder()
    reached = [cosine(net, few.images, Cloak(epsilon=4, steps=n)(few, Context(embed=net.embed))) for n in (1, 4, 16)]
    assert reached[0] > reached[1] > reached[2]
    with pytest.raises(ValueError, match="expected an embedder with gradients"):
        Cloak(epsilon=4)(few, Context())
