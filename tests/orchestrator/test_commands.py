"""The list of commands, and what the search can list."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from evaluators.metrics import METRICS
from orchestrator.__main__ import COMMANDS, about
from orchestrator.search import __main__ as search
from search_spaces import SPACES
from tests.places import ROOT


def test_python_m_orchestrator_lists_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in COMMANDS:
        assert f"python -m orchestrator.{name}" in done.stdout and about(name) in done.stdout
    assert not {"torch", "ray", "optuna"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_every_command_is_in_the_list() -> None:
    folder = ROOT / "orchestrator"
    doors = {path.stem for path in folder.glob("*.py") if "__main__" in path.read_text()} - {"__main__"}
    assert doors | {path.parent.name for path in folder.glob("*/__main__.py")} == set(COMMANDS)


def test_the_search_lists_metrics_and_spaces() -> None:
    both = ("--list-spaces", "--list-metrics")
    for options, names in ((both[1:], METRICS), (both[:1], SPACES), (both, [*METRICS, *SPACES])):
        done = CliRunner().invoke(search.app, list(options))
        assert done.exit_code == 0 and all(name in done.output for name in names)
    assert "Thirteen classical configurations" in done.output
