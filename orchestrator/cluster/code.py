"""What runs here: versions of the packages that make a difference, a digest of the program itself, and its commit."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ray", "optuna", "torch", "torchvision", "onnxruntime-gpu", "numpy", "pyarrow", "moocore")
SOURCES = ("anonymizers", "evaluators", "search_spaces", "orchestrator")
MEASURING = (
    "anonymizers",
    "evaluators",
    "search_spaces",
    "orchestrator/sweep/proposals.py",
    "orchestrator/sweep/study.py",
    "orchestrator/sweep/sweep.py",
)
"""What a sweep must be resumed with unchanged."""
ASIDE = (
    "anonymizers/training/",  # what it leaves are weights, which have digests of their own
    "evaluators/datasets/",  # what it finds are faces, which the protocol's digest covers
    "evaluators/networks/catalog/downloads.py",
    "evaluators/networks/catalog/pulling.py",
    "evaluators/networks/inspection.py",
    "evaluators/options.py",
    "evaluators/demo/training.py",
)
"""Parts of MEASURING that decide nothing of that."""


def versions() -> dict[str, str]:
    """Return the versions of PACKAGES that are installed here."""
    return {name: version(name) for name in PACKAGES}


def code_digest() -> str:
    """Return the SHA-256 over the program's own source files, which all machines of a cluster must share."""
    sha = hashlib.sha256()
    for package in SOURCES:
        for file in sorted((ROOT / package).rglob("*.py")):
            sha.update(f"{file.relative_to(ROOT).as_posix()}\n".encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()


def measuring_digest(root: Path = ROOT) -> str:
    """Return the SHA-256 over the code that decides what is proposed and what is measured.

    Of the files of MEASURING, but for those of ASIDE, it covers what is executed: comments, docstrings and the
    layout of lines make no difference.
    """
    sha = hashlib.sha256()
    for package in MEASURING:
        files = [root / package] if package.endswith(".py") else sorted((root / package).rglob("*.py"))
        for file in files:
            name = file.relative_to(root).as_posix()
            if not name.startswith(ASIDE):
                sha.update(f"{name}\n{executed(file.read_text(encoding='utf-8'))}".encode())
    return sha.hexdigest()


def executed(source: str) -> str:
    """Return what a module executes, as its syntax tree without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]
    return ast.dump(tree)


def _is_text(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)


def commit_here() -> str:
    """Return the short name of the commit that is checked out here; empty where git knows of none."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
