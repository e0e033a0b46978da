"""Resident networks of generative methods: each file is read once per device, and stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_LOADED: dict[tuple[Path, str, int, str, str], nn.Module] = {}


def resident(path: Path, device: torch.device, build: Callable[[], nn.Module], prefix: str = "") -> nn.Module:
    """Return a network with the weights of a file, ready to run; a file that changed is read anew.

    Args:
        path: file of tensors by name, as torch.save or Lightning writes it.
        device: where it lives.
        build: makes the network, with any weights.
        prefix: of the network's names where the file holds others too; empty where it holds this network alone.

    Raises:
        ValueError: if the file holds other names or shapes than the network, or anything but tensors and plain data.
    """
    key = (path.resolve(), prefix, path.stat().st_mtime_ns, str(device), build.__module__ + build.__qualname__)
    if key not in _LOADED:
        net = build()
        load_strictly(net, read_tensors(path, prefix), path)
        _LOADED[key] = net.eval().requires_grad_(False).to(device)
    return _LOADED[key]


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Read the tensors of a PyTorch file; nothing else is unpickled.

    Args:
        path: of the file; what Lightning calls `state_dict` in it is taken.
        prefix: keep the names that begin with it, and cut it off.

    Raises:
        ValueError: if the file holds pickled objects other than tensors and plain data.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds on files that are none of its own
        raise ValueError(
            f"{path}: expected tensors alone, which load without running code of the file; save its state_dict by "
            f"itself, in an environment that you would trust it in: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected tensors by name, got {type(content).__name__}")
    return {
        name.removeprefix(prefix): value
        for name, value in content.items()
        if name.startswith(prefix) and isinstance(value, Tensor)
    }


def differences(net: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """List the names that a file lacks, has beyond the network, or has in another shape.

    Returns:
        "missing", "unexpected" and "shape", each sorted; all empty where the file fits.
    """
    own = net.state_dict()
    return {
        "missing": sorted(own.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - own.keys()),
        "shape": sorted(name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape),
    }


def load_strictly(net: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a network the tensors of a file.

    Raises:
        ValueError: if a name or a shape differs; the sentence lists the first of each.
    """
    if any(found := differences(net, tensors).values()):
        told = "; ".join(
            f"{kind}: {len(names)} ({', '.join(names[:5])})"
            for kind, names in zip(("missing", "unexpected", "shape"), found, strict=True)
            if names
        )
        raise ValueError(f"{path}: expected the names and shapes of {type(net).__name__}; {told}")
    net.load_state_dict(dict(tensors), strict=True)
