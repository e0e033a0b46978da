"""The list of commands: `python -m orchestrator`."""

from __future__ import annotations

import ast
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from orchestrator.terminal import delivered, make_console, run_app

COMMANDS = (
    "models",
    "prepare",
    "search",
    "verify",
    "watch",
    "compare",
    "recommend",
    "anonymize",
    "study",
    "train",
    "cluster",
)
"""In the order in which they are wanted."""


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main() -> None:
    """Print each command and the first sentence of its help."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in COMMANDS:
        table.add_row(Text(f"python -m orchestrator.{name}"), Text(about(name)))
    console = make_console()
    console.print(table)
    console.print("\nEach has --help. Without options, search runs on a demo world of its own.", markup=False)
    delivered()


def about(command: str) -> str:
    """Return the first sentence of a command's help, or of its module's where it has commands of its own.

    Nothing is imported, so that the list comes at once.
    """
    path = Path(__file__).with_name(f"{command}.py")
    module = ast.parse((path if path.exists() else path.with_suffix("") / "__main__.py").read_text())
    commands = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    text = ast.get_docstring(commands[0] if commands else module) or ""
    return text.partition("\n")[0].rstrip(".").replace(f": `python -m orchestrator.{command} ", ": ").rstrip("`")


if __name__ == "__main__":
    run_app(app)
