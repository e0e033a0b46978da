"""Resident networks of generative methods: each file is read once per device, and stays."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from anonymizers.faces import person_of

_LOADED: dict[tuple[object, ...], nn.Module] = {}
_OPENED: dict[tuple[object, ...], Any] = {}


def trained_network(own: Path, name: str, models: Path | None, who: str, advice: str) -> Path:
    """Find a network that the project trains: for photographs in `generator/` of the models, else the project's own.

    Args:
        own: folder of the project's own.
        name: of the file, without its ending; the demo world's and those for photographs say so before it.
        models: folder of real networks; None on the demo world.
        who: asks, for the sentence.
        advice: what to do where it is missing.

    Raises:
        ValueError: if it is missing.
    """
    if models is None:
        path = own / f"demo_{name}.safetensors"
    elif not (path := models / "generator" / f"{name}.safetensors").is_file():
        ours = own / f"photographs_{name}.safetensors"
        path = ours if ours.is_file() else path
    if not path.is_file():
        raise ValueError(f"{who}: expected its network in {path}, which is missing; {advice}")
    return path


def resident(
    path: Path,
    device: torch.device,
    kind: type[nn.Module],
    prefix: str = "",
    ignored: tuple[str, ...] = (),
    **options: int,
) -> nn.Module:
    """Return a network with the weights of a file, ready to run; a file that changed is read anew.

    Args:
        path: file of tensors by name, as torch.save, Lightning or safetensors write it.
        device: where it lives.
        kind: class of the network.
        prefix: of the network's names where the file holds others too; empty where it holds this network alone.
        ignored: names that the file may hold beside the network's.
        options: arguments of the class.

    Raises:
        ValueError: if the file holds other names or shapes than the network, or anything but tensors and plain data.
    """
    key = (path.resolve(), prefix, path.stat().st_mtime_ns, str(device), kind, *sorted(options.items()))
    if key not in _LOADED:
        net = kind(**options)
        tensors = {name: value for name, value in read_tensors(path, prefix).items() if name not in ignored}
        load_strictly(net, tensors, path)
        _LOADED[key] = net.eval().requires_grad_(False).to(device)
    return _LOADED[key]


def opened(path: Path, open_file: Callable[[str], Any]) -> Any:
    """Return what `open_file` makes of a file, made once; a file that changed is opened anew."""
    key = (path.resolve(), path.stat().st_mtime_ns, open_file)
    if key not in _OPENED:
        _OPENED[key] = open_file(str(path))
    return _OPENED[key]


def recipe_of(path: Path) -> dict[str, Any]:
    """Return the recipe in the metadata of a generator's safetensors file.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        with safe_open(path, "pt") as file:
            recipe: dict[str, Any] = json.loads((file.metadata() or {})["recipe"])
            return recipe | {"dimension": file.get_slice("identity_mean").get_shape()[0]}
    except (KeyError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"{path}: expected a generator that python -m orchestrator.train wrote, got a file without its recipe "
            f"({error}); train it anew"
        ) from error


def person_digest(key: str) -> str:
    """Return 12 hexadecimal digits for the person whom a picture's key names, however his name is composed."""
    return _digits(person_of(key))


def _digits(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    return hashlib.sha256(composed.encode(errors="surrogateescape")).hexdigest()[:12]


def refuse_trained_on(path: Path, keys: Sequence[str], who: str) -> None:
    """Refuse faces of people whom a generator's file says that it was trained on.

    Older files name the folder that a picture lies in, which is the person's in most sets: it is looked up too.

    Args:
        path: of the file.
        keys: of the faces.
        who: asks, for the sentence.

    Raises:
        ValueError: if there is one.
    """
    trained = trained_people(path)
    if known := [key for key in keys if trained and _names_of(key) & trained]:
        raise ValueError(
            f"{who}: expected faces of people whom {path.name} was not trained on, got {len(known)} of {len(keys)} of "
            f"them, such as {known[0]}; a search takes them as background, elsewhere leave them out, or train another"
        )


def trained_people(path: Path) -> frozenset[str]:
    """Return the digests of the people whom a network's file says that it was trained on; empty where it says none."""
    known: frozenset[str] = opened(path, _people) if path.suffix == ".safetensors" else frozenset()
    return known


def _names_of(key: str) -> set[str]:
    """Return the digests of a key's person, and of the folder that its picture lies in."""
    folder = PurePosixPath(key).parent.name
    return {person_digest(key), _digits(folder)} if folder else {person_digest(key)}


def _people(path: str) -> frozenset[str]:
    with safe_open(path, "pt") as file:
        return frozenset(json.loads((file.metadata() or {}).get("people", "[]")))


CENTERS = "w_centers"
"""DeepPrivacy2's cluster centers, which stand beside the generator's section in some of its files."""


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Read the tensors of a PyTorch file; nothing else is unpickled.

    Args:
        path: of the file; what Lightning calls `state_dict` in it is taken, or the averaged generator that
            DeepPrivacy2's checkpoints hold as `EMA_generator`.
        prefix: keep the names that begin with it, and cut it off.

    Raises:
        ValueError: if the file holds pickled objects other than tensors and plain data.
    """
    if path.suffix == ".safetensors":
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path}: expected a whole safetensors file, {error}; fetch or train it again") from error
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds on files that are none of its own
        raise ValueError(
            f"{path}: expected tensors alone, which load without running code of the file; save its state_dict by "
            f"itself, in an environment that you would trust it in: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    beside = {name: value for name, value in content.items() if name == CENTERS} if isinstance(content, Mapping) else {}
    for section in ("state_dict", "EMA_generator"):
        if isinstance(content, Mapping) and isinstance(content.get(section), Mapping):
            content = {**content[section], **{f"style_net.{name}": value for name, value in beside.items()}}
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
