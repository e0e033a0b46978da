"""What the README says, runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.places import ROOT

README = (ROOT / "README.md").read_text()
PACKAGES = ("anonymizers", "evaluators", "search_spaces", "orchestrator")


@pytest.mark.slow
def test_the_first_program_runs_as_it_stands() -> None:
    program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(re.findall(r"'rank1_worst': [01]\.\d", done.stdout)) == 5


def tree() -> list[str]:
    """Read the paths of the tree in docs/STRUCTURE.md: what a line is indented under is its folder."""
    named: list[str] = []
    above: list[str] = []
    for indent, name in re.findall(r"^    ((?:  )*)([\w.]+/?)  ", (ROOT / "docs" / "STRUCTURE.md").read_text(), re.M):
        above[len(indent) // 2 :] = [name.rstrip("/")]
        named.append("/".join(above) + ("/" if name.endswith("/") else ""))
    return named


def test_every_file_that_the_tree_names_is_there() -> None:
    assert len(tree()) > 20
    for name in tree():
        path = ROOT / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), name


def test_the_tree_names_every_file_once() -> None:
    named = tree()
    assert len(set(named)) == len(named)
    there = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    # A folder's line is that of its __init__.py.
    as_listed = {name.removesuffix("__init__.py") for name in there}
    assert as_listed <= set(named), as_listed - set(named)
    folders = {path.name + "/" for path in (ROOT / "clusters", ROOT / "benchmarks", ROOT / "tests", ROOT / "docs")}
    assert folders | {"cluster.yaml"} <= set(named)


def test_the_anonymizer_of_the_readme_is_one() -> None:
    from dataclasses import dataclass
    from typing import ClassVar

    import torch
    from torch import Tensor

    from anonymizers import Anonymizer, Context, Faces, Integer
    from anonymizers.ranges import ranged
    from tests.conftest import smooth_faces

    program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    names = {
        "Anonymizer": Anonymizer,
        "ClassVar": ClassVar,
        "Context": Context,
        "Faces": Faces,
        "Integer": Integer,
        "Tensor": Tensor,
        "dataclass": dataclass,
        "ranged": ranged,
        "torch": torch,
    }
    exec(compile(program, "README.md", "exec", dont_inherit=True), names)
    posterize = names["Posterize"](levels=4)  # type: ignore[operator]
    released = posterize(smooth_faces(3, 2, size=16), Context())
    assert set(released.unique().tolist()) <= {0, 85, 170, 255}
