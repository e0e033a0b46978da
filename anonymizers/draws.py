"""Randomness of a face: from its key and the secret seed, never from its place in a batch."""

from __future__ import annotations

import hashlib

import torch


def of_face(key: str, seed: int, purpose: str) -> torch.Generator:
    """Return the generator of one face for one purpose, on the CPU."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{key}".encode(errors="surrogateescape")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
