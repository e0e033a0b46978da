"""Captured: a network on a GPU as one graph of launches (CUDA graphs); needs torch alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_RUNS = 3


class Captured:
    """Replay a network on a GPU as one graph of a fixed shape: its kernels are launched together."""

    def __init__(self, run: Callable[[Tensor], tuple[Tensor, ...]], example: Tensor) -> None:
        """Warm up and record.

        Args:
            run: what is recorded; allocates the same memory every time.
            example: its input, on a GPU.
        """
        self.input = example.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_RUNS):
                run(self.input)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = run(self.input)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run on a tensor of the example's shape; the outputs are overwritten by the next call."""
        self.input.copy_(x)
        self.graph.replay()
        return self.outputs
