"""Networks of the real registries: the user's own where they were pulled, else pulled for this run of the tests."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest

from evaluators.networks.catalog.downloads import digest_of
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.catalog.pulling import cache_folder, pull

FOLDER = tempfile.TemporaryDirectory(prefix="pulled-networks-")


def pulled_network(name: str) -> Path:
    """Return the folder of models that holds a network of the zoo, or skip the test with the reason."""
    folder, why = _pulled(name)
    if folder is None:
        pytest.skip(f"{name} cannot be had here: {why}")
    return folder


@functools.cache
def _pulled(name: str) -> tuple[Path | None, str]:
    there = cache_folder() / ZOO[name].path
    if there.is_file() and digest_of(there) in ZOO[name].digests:
        return cache_folder(), ""
    try:
        pull(ZOO[name], Path(FOLDER.name))
    except ValueError as error:
        return None, str(error)
    return Path(FOLDER.name), ""
