"""The shape of the program: what may import what, what importing may do, which ONNX Runtime is installed."""

from __future__ import annotations

import ast
import graphlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

ALLOWED = {
    "anonymizers": {"anonymizers"},
    "evaluators": {"evaluators", "anonymizers"},
    "search_spaces": {"search_spaces", "anonymizers"},
    "orchestrator": {"orchestrator", "search_spaces", "evaluators", "anonymizers"},
}
ORCHESTRATOR_ONLY = {"ray", "pyarrow", "pandas", "rich", "typer", "plotly", "av"}
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for package in ALLOWED
    for path in (ROOT / package).rglob("*.py")
)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute here"
            found.add(node.module.partition(".")[0])
    return found


ROOMS = 10
"""Most rooms in a folder: files and folders of code; the doors of orchestrator/, which people start, apart."""
FOLDERS = sorted({path.parent for package in ALLOWED for path in (ROOT / package).rglob("*.py")})


def is_door(path: Path) -> bool:
    """Tell whether people start it: a package with a command line, or a command of one room."""
    return (path / "__main__.py").exists() if path.is_dir() else "__main__" in path.read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_folder_has_more_than_ten_rooms(folder: Path) -> None:
    rooms = [p for p in folder.iterdir() if p.suffix == ".py" and p.name not in ("__init__.py", "__main__.py")]
    rooms += [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(("__", "."))]
    if folder == ROOT / "orchestrator":
        rooms = [path for path in rooms if not is_door(path)]
    assert len(rooms) <= ROOMS, sorted(p.name for p in rooms)


def test_imports_run_in_no_circle() -> None:
    known = set(MODULES)
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        path = ROOT / name.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        named: set[str] = set()
        for node in ast.parse(path.read_text()).body:  # what importing the module imports
            if isinstance(node, ast.ImportFrom) and node.module:
                each = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= {one if one in known else node.module for one in each}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        graph[name] = named & known - {name}
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_the_picture_shows(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        names = imported(path)
        assert not (names & set(ALLOWED)) - ALLOWED[package], path
        if package != "orchestrator":
            assert not names & ORCHESTRATOR_ONLY, path


def test_importing_any_module_loads_nothing_and_starts_nothing() -> None:
    program = f"""
import logging, sys, threading
before = len(logging.getLogger().handlers), threading.active_count()
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import importlib
for name in {MODULES!r}:
    importlib.import_module(name)
import torch, ray
weights = [name for name in opened if name.endswith((".safetensors", ".onnx", ".pth", ".pt"))]
assert not weights, weights
assert not torch.cuda.is_initialized() and not ray.is_initialized()
assert len(logging.getLogger().handlers) == before[0], logging.getLogger().handlers
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_exactly_one_onnx_runtime_is_installed_and_it_is_the_gpu_build() -> None:
    names = {re.sub(r"[-_.]+", "-", d.name).lower() for d in importlib.metadata.distributions()}
    assert {name for name in names if re.fullmatch(r"onnxruntime(-.*)?", name)} == {"onnxruntime-gpu"}


def test_exactly_one_opencv_is_installed() -> None:
    names = {re.sub(r"[-_.]+", "-", d.name).lower() for d in importlib.metadata.distributions()}
    assert {name for name in names if name.startswith("opencv")} == {"opencv-python-headless"}


def test_no_tracked_file_names_a_package_index_or_a_lock_file() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "uv.lock" not in tracked
    index = re.compile("py" + r"pi\.org|files\.python" + "hosted")
    for name in tracked:
        if name.endswith((".py", ".toml", ".md", ".yaml", ".txt")) or name == ".ci/run":
            assert not index.search((ROOT / name).read_text()), name
