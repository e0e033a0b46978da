"""Memory of a GPU: what to do when it is full, and how much a panel holds of it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

LEAST = 8
"""Pictures in a batch below which less memory does not come of smaller batches."""

Result = TypeVar("Result")


@runtime_checkable
class Batched(Protocol):
    """What works on batches and can do with smaller ones, to the same result."""

    batch: int

    def halve(self) -> bool:
        """Halve the batch, and let go of what was made for the larger one; tell whether that was possible."""
        ...


def out_of_memory(error: Exception) -> bool:
    """Tell whether a GPU had no memory left, in PyTorch or in ONNX Runtime."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return type(error).__module__.startswith("onnxruntime") and ("allocate memory" in text or "out of memory" in text)


def with_smaller_batches(work: Callable[[], Result], halve: Callable[[], str | None], note: list[str]) -> Result:
    """Do work that may not fit into memory, with smaller and smaller batches until it does.

    Args:
        work: begins anew at every call.
        halve: halves the batches and says what they are now, or None where they cannot be smaller.
        note: gets one sentence for each time.

    Raises:
        Exception: what `work` raised, if it is no lack of memory or the batches cannot be smaller.
    """
    while True:
        try:
            return work()
        except Exception as error:
            if not out_of_memory(error) or (now := halve()) is None:
                raise
            note.append(f"out of memory, batches halved: {now}")
        # Outside of the handler: the error holds the frames, and they hold the tensors.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def halved(batch: int, *, fixed: bool = False) -> int:
    """Return half of a batch, or the batch itself where it is fixed or as small as makes a difference."""
    return batch if fixed or batch <= LEAST else batch // 2


def halve_batches(parts: Iterable[Any]) -> bool:
    """Halve the batches of those that work on batches; tell whether any could."""
    return sum(part.halve() for part in parts if isinstance(part, Batched)) > 0  # every one of them, unlike any()


def device_bytes(device: torch.device | str) -> tuple[int, int] | None:
    """Return the bytes in use on a GPU, by whatever process, and all that it has; None without a GPU.

    Right after a panel was made alone on its GPU, what is in use is what a panel needs, ONNX Runtime's share included.
    """
    if torch.device(device).type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return total - free, total


def held_bytes(device: torch.device | str) -> int:
    """Return the bytes that this process holds at most: of the GPU's memory where it has one, else of the machine's.

    On a GPU that is what PyTorch's allocator has reserved; ONNX Runtime's arena is bounded beside it.
    """
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
