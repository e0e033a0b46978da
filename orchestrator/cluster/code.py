"""What runs here: versions of the packages that make a difference, and a digest of the program itself."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("ray", "optuna", "torch", "torchvision", "onnxruntime-gpu", "numpy", "pyarrow", "moocore")
SOURCES = ("anonymizers", "evaluators", "search_spaces", "orchestrator")


def versions() -> dict[str, str]:
    """Return the versions of PACKAGES that are installed here."""
    return {name: version(name) for name in PACKAGES}


def code_digest() -> str:
    """Return the SHA-256 over the program's own source files."""
    root = Path(__file__).resolve().parents[2]
    sha = hashlib.sha256()
    for package in SOURCES:
        for file in sorted((root / package).rglob("*.py")):
            sha.update(f"{file.relative_to(root).as_posix()}\n".encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()
