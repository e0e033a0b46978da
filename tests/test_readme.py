"""What the README says, runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.places import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_first_program_runs_as_it_stands() -> None:
    program = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(re.findall(r"'rank1_worst': [01]\.\d", done.stdout)) == 5


def test_every_file_that_the_tree_names_is_there() -> None:
    tree = README.partition("## Where things are")[2].partition("\n## ")[0]
    named = re.findall(r"^    ([a-z_]+/[\w./]*)", tree, re.MULTILINE) + re.findall(
        r"^    (docs/\S+)", tree, re.MULTILINE
    )
    assert len(named) > 20
    for name in named:
        assert (ROOT / name).exists(), name


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
