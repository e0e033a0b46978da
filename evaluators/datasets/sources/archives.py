"""Archives: sets of faces that may be downloaded as one file."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluators.networks.catalog.downloads import download


@dataclass(frozen=True)
class Archive:
    """State where an archive is and what it is.

    Attributes:
        url: of the file.
        sha256: of the file.
        terms: of use.
    """

    url: str
    sha256: str
    terms: str


LFW_TERMS = "research benchmark, no license stated"
ARCHIVES = {
    "lfw": Archive(
        "https://ndownloader.figshare.com/files/5976018",
        "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
        LFW_TERMS,
    ),
    "lfw-funneled": Archive(
        "https://ndownloader.figshare.com/files/5976015",
        "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
        LFW_TERMS,
    ),
}
"""Labeled Faces in the Wild, as published and funneled: the copies that scikit-learn downloads, by its digests."""


def fetch(name: str, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Download and unpack an archive, unless that is done.

    Args:
        name: of ARCHIVES.
        folder: for downloads; it gets the folder `name`, which is there only when it is whole.
        progress: called with bytes (done, total).

    Raises:
        ValueError: if the download fails or is another file than expected.
    """
    ready = folder / name
    if ready.is_dir():
        return ready
    archive, packed = ARCHIVES[name], folder / f"{name}.tgz"
    folder.mkdir(parents=True, exist_ok=True)
    download(archive.url, packed, archive.sha256, progress)  # unless the right one lies there
    new = folder / f".{name}.{os.getpid()}.new"
    try:
        with tarfile.open(packed) as file:
            file.extractall(new, filter="data")
        new.replace(ready)
    except tarfile.TarError as error:
        raise ValueError(f"{packed}: expected an archive that unpacks: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    packed.unlink()
    return ready
