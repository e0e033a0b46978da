"""Stand-ins for package registries on the loopback interface: a simple index for pip, and a registry for npm."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from evaluators.networks.catalog.packages.package import Package
from tests.helpers.loopback import Served


def wheel(served: Served, name: str, version: str, members: dict[str, bytes]) -> bytes:
    """Serve a wheel of these files under /simple/, and return it."""
    stem = f"{name.replace('-', '_')}-{version}"
    file = io.BytesIO()
    facts = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**members, **facts}.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    at = f"/files/{stem}-py3-none-any.whl"
    served.files[at] = file.getvalue()
    link = f'<!DOCTYPE html><html><body><a href="{at}">{Path(at).name}</a></body></html>'
    served.files[f"/simple/{name}/"] = link.encode()
    return file.getvalue()


def npm_package(served: Served, name: str, version: str, members: dict[str, bytes]) -> bytes:
    """Serve an npm package of these files under /npm/, and return its archive."""
    file = io.BytesIO()
    facts = {"package.json": json.dumps({"name": name, "version": version}).encode()}
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for path, data in {**facts, **members}.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    data = file.getvalue()
    at = f"/files/{name.rpartition('/')[2]}-{version}.tgz"
    served.files[at] = data
    dist = {
        "tarball": f"{served.url}{at}",
        "shasum": hashlib.sha1(data).hexdigest(),
        "integrity": f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",
    }
    versions = {version: {"name": name, "version": version, "dist": dist}}
    told = {"name": name, "dist-tags": {"latest": version}, "versions": versions}
    served.files[f"/npm/{name.replace('/', '%2f')}"] = json.dumps(told).encode()
    return data


def package(registry: str, name: str, archive: bytes, member: str, data: bytes, conversion: str = "") -> Package:
    """Pin a file of an archive of version 1.0.0."""
    digests = [hashlib.sha256(part).hexdigest() for part in (archive, data)]
    return Package(registry, name, "1.0.0", digests[0], member, digests[1], conversion)


def ask_only(served: Served, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip and npm know these registries and no others, and no cache."""
    for name in list(os.environ):
        if name.upper().startswith(("PIP_", "NPM_CONFIG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple/")
    monkeypatch.setenv("PIP_CACHE_DIR", str(folder / "pip"))
    monkeypatch.setenv("npm_config_registry", f"{served.url}/npm/")
    monkeypatch.setenv("npm_config_cache", str(folder / "npm"))
    monkeypatch.setenv("npm_config_userconfig", str(folder / "npmrc"))
    monkeypatch.setenv("npm_config_globalconfig", str(folder / "npmrc_of_all"))
