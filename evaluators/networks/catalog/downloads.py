"""Downloads: to a temporary name, verified, then renamed, so that a file that is there is whole and the right one."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

CHUNK = 1 << 18
TIMEOUT = 60.0
"""Seconds without a byte after which a server is given up."""


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, path: Path, sha256: str, progress: Callable[[int, int | None], None] | None = None) -> None:
    """Download a file, unless the right one is there already.

    Args:
        url: where it is.
        path: the name that it gets when it is verified; its folder is made.
        sha256: that it must have, hexadecimal.
        progress: called with bytes (done, total); the total is None where the server does not say.

    Raises:
        ValueError: if the server cannot be reached, refuses or breaks off, or if the file has another digest. Nothing
            is left of it; what stood under the name before stays.
    """
    if path.is_file() and digest_of(path) == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    digest = hashlib.sha256()
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, new.open("wb") as file:
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            while part := answer.read(CHUNK):
                file.write(part)
                digest.update(part)
                done += len(part)
                if progress is not None:
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise ValueError(f"{url}: expected {total} bytes, got {done}; try again")
        if digest.hexdigest() != sha256:
            raise ValueError(
                f"{url}: expected a file with SHA-256 {sha256}, got {digest.hexdigest()} ({done} bytes); it was "
                "changed or damaged: get it elsewhere"
            )
        new.replace(path)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}: expected the file, the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise ValueError(f"{url}: cannot be downloaded: {error}; is there a network?") from error
    finally:
        new.unlink(missing_ok=True)
