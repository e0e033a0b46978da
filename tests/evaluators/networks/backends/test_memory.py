"""A GPU whose memory is full: smaller batches, the same numbers, one note for each time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from anonymizers import Blur
from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.networks.backends.memory import LEAST, halve_batches, held_bytes, out_of_memory, with_smaller_batches
from evaluators.panel import Panel
from evaluators.zoo import load_nets


class Narrow:
    """An embedder that has room for so many pictures at a time, and works in batches of more."""

    name = "narrow"

    def __init__(self, inner: Any, room: int) -> None:
        self.inner, self.room, self.batch = inner, room, 64
        self.calls: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        parts = []
        for part in images.split(self.batch):
            self.calls.append(len(part))
            if len(part) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            parts.append(self.inner(part))
        return torch.cat(parts)

    def halve(self) -> bool:
        if self.batch <= LEAST:
            return False
        self.batch //= 2
        return True


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return demo_protocol(evaluated=16, pictures=4, attacker=40, background=2)


def test_a_full_gpu_gives_the_same_numbers_in_smaller_batches(protocol: Protocol) -> None:
    nets = load_nets(None)
    whole = Panel(protocol, nets).score(Blur(31))
    narrow = Narrow(nets.embedder, 64)
    panel = Panel(protocol, replace(nets, embedder=narrow))
    narrow.room = 16
    again = panel.score(Blur(31))
    assert again.values == pytest.approx(whole.values, abs=1e-6)
    assert narrow.batch == 16 and panel.batch_size == 32
    assert panel.notes == [f"out of memory, batches halved: {n} pictures for the anonymizer" for n in (64, 32)]


def test_what_does_not_fit_in_the_least_batch_is_an_error(protocol: Protocol) -> None:
    nets = load_nets(None)
    narrow = Narrow(nets.embedder, 64)
    panel = Panel(protocol, replace(nets, embedder=narrow, perceptual=()), attackers=("fixed",))
    narrow.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        panel.score(Blur(33))


def test_other_errors_pass_at_once() -> None:
    note: list[str] = []

    def work() -> None:
        raise ValueError("a blur of nothing")

    with pytest.raises(ValueError, match="a blur of nothing"):
        with_smaller_batches(work, lambda: "smaller", note)
    assert not note


def test_onnx_runtimes_lack_of_memory_is_known_by_its_words() -> None:
    kind = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
    assert out_of_memory(kind("Failed to allocate memory for requested buffer of size 4096"))
    assert not out_of_memory(kind("Invalid input shape")) and not out_of_memory(ValueError("out of memory"))


def test_every_part_is_halved_not_the_first_alone() -> None:
    parts = [Narrow(None, 1), Narrow(None, 1), object()]
    assert halve_batches(parts) and [part.batch for part in parts[:2]] == [32, 32]  # type: ignore[attr-defined]


def test_memory_that_is_held_is_counted() -> None:
    before = held_bytes("cpu")
    kept = torch.ones(40 * 2**20, dtype=torch.float32)
    assert held_bytes("cpu") >= max(before, kept.nbytes)
