"""What the pages say, holds: links, commands, tables written from the code, and the recipes, followed word for word."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import typer

from docs import generate
from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS
from evaluators.networks.catalog.conventions import EMBEDDERS
from evaluators.networks.catalog.published import ZOO
from search_spaces import SPACES
from tests.helpers import tiny_nets
from tests.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("anonymizers", "evaluators", "search_spaces", "orchestrator")
COMMAND = re.compile(r"python -m ((?:orchestrator|evaluators|benchmarks|docs)[\w.]*)((?:\\\n|[^\n`'])*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
FOREIGN = {"--help", "--group", "--no-sync", "--tmux", "--generate"}
"""Options of every command, of uv and of Ray."""
ADDING = (ROOT / "docs" / "ADDING.md").read_text()
RECIPES = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", ADDING, re.MULTILINE | re.DOTALL))
PIECE = re.compile(r"^`([\w/.]+)`(, new)?:\n\n```(python|diff)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROOFS = {
    "An anonymizer": ("pytest", "-n", "0", "tests/anonymizers", "-k", "posterize or Posterize"),
    "A metric": (
        "pytest",
        "-n",
        "0",
        "tests/evaluators/metrics/test_mae.py",
        "tests/evaluators/metrics/test_metrics.py",
    ),
    "An attacker": (
        *("pytest", "-n", "0"),
        "tests/evaluators/attackers/test_averaged.py",
        "tests/orchestrator/search/test_checks.py::test_names_that_help_knows_are_those_of_the_tables",
    ),
    "A signal": ("pytest", "-n", "0", "tests/evaluators/networks/test_eyes.py"),
    "A network": ("orchestrator.models", "check", "--models", "models"),
    "An option": ("pytest", "-n", "0", "tests/orchestrator/search/test_note.py"),
}
"""What proves a recipe."""


def test_the_readme_takes_a_minute() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []


def test_the_pages_that_follow_the_code_are_up_to_date() -> None:
    again = "write it anew: uv run python -m docs.generate"
    assert (ROOT / "docs" / "METRICS.md").read_text() == generate.metrics_page(), again
    assert (ROOT / "docs" / "STRUCTURE.md").read_text() == generate.structure_page(), again


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "LOG.md"], ids=lambda page: page.name)
def test_every_path_that_is_named_is_there(page: Path) -> None:
    made = {path for pieces in map(pieces_of, RECIPES) for path, new, _ in pieces if new}
    for name in re.findall(r"`((?:[a-z_]+/)+[\w.]*)`", page.read_text()):
        if name.partition("/")[0] in (*PACKAGES, "docs", "tests", "benchmarks", "clusters"):
            assert name in made or (ROOT / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_and_knows_its_options(page: Path) -> None:
    text = page.read_text()
    for module, rest in COMMAND.findall(text):
        module = module.rstrip(".")
        assert importlib.util.find_spec(module) is not None, f"{page.name}: python -m {module}"
        for option in OPTION.findall(rest):
            assert option in options_of(module), f"{page.name}: python -m {module} {option}"
    known = FOREIGN | {option for module in commands() for option in options_of(module)}
    if page.name == "ADDING.md":
        known |= {"--note"}  # which its recipe adds
    for option in re.findall(r"`(--[a-z][a-z0-9-]*)", text):
        assert option in known, f"{page.name}: {option}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "ADDING.md"], ids=lambda page: page.name)
def test_every_name_that_a_command_is_given_is_known(page: Path) -> None:
    text = page.read_text()
    for words, table in (("--space", SPACES), ("--attacker", ATTACKERS), ("--embedder", EMBEDDERS), ("pull", ZOO)):
        for name in re.findall(rf"(?<![\w-]){words} ([a-z][\w.]+)", text):
            assert name in table, f"{page.name}: {words} {name}"


def commands() -> Iterator[str]:
    for path in sorted((ROOT / "orchestrator").glob("*.py")):
        if "__main__" in path.read_text():
            yield f"orchestrator.{path.stem}"
    for path in sorted((ROOT / "orchestrator").glob("*/__main__.py")):
        yield f"orchestrator.{path.parent.name}"
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        yield f"benchmarks.{path.stem}"


@cache
def options_of(module: str) -> frozenset[str]:
    """Ask a command of Typer; of the others, read the source."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if module.startswith("orchestrator"):
        app = import_module(f"{module}.__main__" if spec.submodule_search_locations else module).app
        group = typer.main.get_command(app)
        all_of = [group, *getattr(group, "commands", {}).values()]
        named = {name for command in all_of for parameter in command.params for name in parameter.opts}
        bounds = METRICS if module == "orchestrator.recommend" else ()  # any metric with a bound
        return frozenset(named | {f"--{name.replace('_', '-')}" for name in bounds})
    assert spec.origin is not None
    text = Path(spec.origin).read_text()
    if "from benchmarks.chosen_faces import" in text:  # which reads the command line for it
        text += (Path(spec.origin).parent / "chosen_faces.py").read_text()
    return frozenset(re.findall(r'"(--[a-z-]+)"', text))


def pieces_of(recipe: str) -> list[tuple[str, bool, str]]:
    return [(path, bool(new), code) for path, new, _, code in PIECE.findall(RECIPES[recipe])]


def test_every_recipe_has_its_proof_and_every_block_its_file() -> None:
    assert set(PROOFS) == set(RECIPES)
    assert len(PIECE.findall(ADDING)) == len(re.findall(r"^```(?:python|diff)$", ADDING, re.MULTILINE))


def changed(text: str, diff: str, where: str) -> str:
    """Apply the hunks of a diff: what they show of the file stands in it once, and in their order."""
    at = 0
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if not line.startswith("+"))
        after = "".join(line[1:] for line in lines if not line.startswith("-"))
        assert text.count(before) == 1 and text.index(before) >= at, f"{where}: expected once, in order:\n{before}"
        at = text.index(before)
        text = text.replace(before, after)
        at += len(after)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_works_as_it_stands(recipe: str, tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("__pycache__", "weights")
    for package in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for weights in ("anonymizers/weights", "evaluators/demo/weights"):
        (tmp_path / weights).symlink_to(ROOT / weights)
    digest = tiny_nets.embedder(tmp_path / "models" / "identity" / "ours.onnx", size=112)
    for name, new, code in pieces_of(recipe):
        path = tmp_path / name
        assert path.exists() != new, name
        code = code.replace("0" * 64, digest)
        path.write_text(code if new else changed(path.read_text(), code, name))
    program, *words = PROOFS[recipe]
    done = subprocess.run(
        [sys.executable, "-m", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    wanted = "ours: right" if recipe == "A network" else r"\d+ passed"
    assert re.search(wanted, done.stdout), done.stdout
    assert "failed" not in done.stdout


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_no_network(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="uv sync --group docs brings it")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "docs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for path in (*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")):
        text = path.read_text()
        loads = r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=[\"'](?:https?:)?//"
        assert not re.search(loads + r"|url\([\"']?(?:https?:)?//|@import [\"'](?:https?:)?//", text), path
    for package in PACKAGES:
        assert (tmp_path / "api" / package / f"{package}.html").is_file()
