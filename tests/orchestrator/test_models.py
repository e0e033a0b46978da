"""`python -m orchestrator.models`: list, pull from a loopback server, check; afterwards everything works offline."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from anonymizers.generative.generator import WEIGHTS
from evaluators.networks.catalog.conventions import EMBEDDERS, INSIGHTFACE, TEACHERS
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.catalog.pulling import cache_folder, pulled_folder, unpack
from evaluators.networks.catalog.trained import OWN
from orchestrator.models import app
from tests.helpers import tiny_nets
from tests.helpers.loopback import Served, loopback


def models(*arguments: str, code: int = 0, **variables: str) -> str:
    result: Result = CliRunner().invoke(app, list(arguments), env=variables)
    assert result.exit_code == code, (result.output, result.exception)
    return " ".join(result.output.split())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served() -> Iterator[Served]:
    with loopback() as served:
        yield served


@pytest.fixture
def teacher(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A teacher of 8 classes at two addresses, of which the first has nothing."""
    tiny_nets.teacher(tmp_path / "made.onnx", 8, size=260)
    data = (tmp_path / "made.onnx").read_bytes()
    served.files["/enet_b2_8.onnx"] = data
    convention = replace(TEACHERS["enet_b2_8"], sha256=digest(data))
    urls = (f"{served.url}/gone.onnx", f"{served.url}/enet_b2_8.onnx")
    monkeypatch.setitem(TEACHERS, "enet_b2_8", convention)
    monkeypatch.setitem(
        ZOO, "enet_b2_8", replace(ZOO["enet_b2_8"], sha256=digest(data), urls=urls, convention=convention)
    )
    return data


def pack(served: Served, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> None:
    """InsightFace's buffalo_sc, holding these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    served.files["/buffalo_sc.zip"] = file.getvalue()
    recognition = digest(members.get("buffalo_sc/w600k_mbf.onnx", b""))
    convention = replace(INSIGHTFACE["buffalo_sc"], sha256=recognition)
    for table in (INSIGHTFACE, EMBEDDERS):
        monkeypatch.setitem(table, "buffalo_sc", convention)
    model = replace(
        ZOO["buffalo_sc"],
        sha256=recognition,
        archive_sha256=digest(file.getvalue()),
        urls=(f"{served.url}/buffalo_sc.zip",),
        convention=convention,
    )
    monkeypatch.setitem(ZOO, "buffalo_sc", model)


def test_the_list_names_every_network_and_what_is_here(tmp_path: Path) -> None:
    path = tmp_path / ZOO["facex"].path
    path.parent.mkdir()
    path.write_bytes(bytes(3 << 19))
    output = models("list", "--models", str(tmp_path))
    for name in ("edgeface_xs", "buffalo_l", "antelopev2", "enet_b0_8_best_vgaf", "ferplus", "fid_inception"):
        assert name in output
    assert "facex │ expression │ yes │ 1.5 MiB │ MIT by its package" in output
    assert "buffalo_l │ identity │ can be pulled │ │ non-commercial research" in output
    assert "edgeface_xs │ identity │ no │" in output
    assert "generator demo both-kd_logit │ generation │ yes │ 1.7 MiB │ MIT, as the demo networks" in output


def test_trained_generators_are_entries_like_the_published_networks(tmp_path: Path) -> None:
    assert WEIGHTS == OWN
    folder = tmp_path / "generator"
    folder.mkdir()
    (tmp_path / ZOO["facex"].path).parent.mkdir()
    (tmp_path / ZOO["facex"].path).write_bytes(b"no network")
    shutil.copy(WEIGHTS / "demo_none-both.safetensors", folder / "none-both.safetensors")
    (folder / "both-both.safetensors").write_bytes(b"no network")
    assert "generator none-both │ generation │ yes │" in models("list", "--models", str(tmp_path))
    output = models("check", "--models", str(tmp_path), code=1)
    assert "generator none-both: no checksum known; one picture: a face of mean grey" in output
    assert "generator both-both: wrong: " in output and "expected a generator that python -m orchestrator" in output
    assert f"error: 2 of 3 networks in {tmp_path} cannot serve" in output


def test_pull_then_check_and_everything_again_without_the_server(
    tmp_path: Path, teacher: bytes, served: Served
) -> None:
    folder = tmp_path / "models"
    output = models("pull", "enet_b2_8", FACE_MODELS=str(folder))
    path = folder / "expression" / "enet_b2_8.onnx"
    assert path.read_bytes() == teacher and output.endswith(str(path)) and "Apache-2.0" in output
    assert served.asked == ["/gone.onnx", "/enet_b2_8.onnx"]
    served.files.clear()
    models("pull", "enet_b2_8", FACE_MODELS=str(folder))
    assert "enet_b2_8: right; one picture: 8 classes, 3 features," in models("check", FACE_MODELS=str(folder))
    assert len(served.asked) == 2
    assert [file.name for file in path.parent.iterdir()] == ["enet_b2_8.onnx"]

    path.write_bytes(teacher[:-1])
    output = models("check", "--models", str(folder), code=1)
    assert f"enet_b2_8: wrong: --models: expected {path} with SHA-256 {digest(teacher)}, got" in output
    assert f"error: 1 of 1 networks in {folder} cannot serve" in output


def test_a_file_that_does_not_open_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convention = replace(TEACHERS["enet_b2_8"], sha256=digest(b"no network"))
    monkeypatch.setitem(TEACHERS, "enet_b2_8", convention)
    monkeypatch.setitem(ZOO, "enet_b2_8", replace(ZOO["enet_b2_8"], sha256=convention.sha256, convention=convention))
    (tmp_path / "expression").mkdir()
    (tmp_path / convention.path).write_bytes(b"no network")
    assert f"enet_b2_8: expected {tmp_path / convention.path} to run, " in models(
        "check", "--models", str(tmp_path), code=1
    )


def test_checkpoints_of_generators_are_loaded_strictly(random_models: Path, tmp_path: Path) -> None:
    output = models("check", "--models", str(random_models), code=1)  # the swapper is not the published file
    for name in ("ganonymization", "ciagan", "deep_privacy2"):
        assert f"{name}: no checksum known; one picture: a face of mean grey" in output
    assert "inswapper: wrong: --models: expected" in output
    path = tmp_path / ZOO["ciagan"].path
    path.parent.mkdir()
    state = torch.load(random_models / ZOO["ciagan"].path, weights_only=True)
    state["conv0.conv_l.bias_"] = state.pop("in0_e.weight")
    state["conv_end.0.bias"] = torch.zeros(4)
    torch.save(state, path)
    output = models("check", "--models", str(tmp_path), code=1)
    assert "expected the names and shapes of CiaganGenerator; missing: 1 (in0_e.weight); unexpected: 1 " in output
    assert "shape: 1 (conv_end.0.bias)" in output


def test_signals_are_checked_too(tmp_path: Path, shared: Path) -> None:
    path = tmp_path / ZOO["face_landmarker"].path
    path.parent.mkdir()
    path.symlink_to(shared / "models" / ZOO["face_landmarker"].path)
    output = models("check", "--models", str(tmp_path))
    assert "face_landmarker: right; one picture: 478 landmarks, 0 of 1 seen in noise" in output


def test_a_teacher_with_other_classes_than_declared_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = tiny_nets.teacher(tmp_path / TEACHERS["enet_b2_8"].path, 7, size=260)
    convention = replace(TEACHERS["enet_b2_8"], sha256=sha256)
    monkeypatch.setitem(TEACHERS, "enet_b2_8", convention)
    monkeypatch.setitem(ZOO, "enet_b2_8", replace(ZOO["enet_b2_8"], sha256=sha256, convention=convention))
    output = models("check", "--models", str(tmp_path), code=1)
    assert "enet_b2_8: expected finite logits of 8 classes, got" in output


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(tmp_path: Path, teacher: bytes, served: Served) -> None:
    served.files["/gone.onnx"] = b"another file"
    served.files["/enet_b2_8.onnx"] = teacher + b"!"
    output = models("pull", "enet_b2_8", "--models", str(tmp_path / "models"), code=2)
    for url, data in (("gone", b"another file"), ("enet_b2_8", teacher + b"!")):
        assert f"{url}.onnx: expected a file with SHA-256 {digest(teacher)}, got {digest(data)}" in output
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]


def test_a_pack_is_unpacked_and_its_recognition_network_checked(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_nets.embedder(tmp_path / "made.onnx", size=112)
    network = (tmp_path / "made.onnx").read_bytes()
    members = {"buffalo_sc/w600k_mbf.onnx": network, "buffalo_sc/det_500m.onnx": b"detector", "../../evil.txt": b"no"}
    pack(served, monkeypatch, members)
    folder = tmp_path / "deep" / "models"
    models("pull", "buffalo_sc", "--models", str(folder))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["identity/buffalo_sc/det_500m.onnx", "identity/buffalo_sc/w600k_mbf.onnx"]
    assert not list(tmp_path.rglob("evil*"))
    assert "buffalo_sc: right; one picture: 2352 numbers" in models("check", "--models", str(folder))
    served.files.clear()
    models("pull", "buffalo_sc", "--models", str(folder))
    assert served.asked == ["/buffalo_sc.zip"]


def test_a_pack_without_the_network_is_refused(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(served, monkeypatch, {"det_500m.onnx": b"detector"})
    output = models("pull", "buffalo_sc", "--models", str(tmp_path), code=2)
    assert "buffalo_sc: expected w600k_mbf.onnx with SHA-256" in output and "in the archive, it has none" in output


@pytest.mark.parametrize("members", [{}, {"a/one.onnx": b"1", "b/one.onnx": b"2"}])
def test_an_archive_that_cannot_be_unpacked_leaves_the_folder(tmp_path: Path, members: dict[str, bytes]) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "old.onnx").touch()
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match="expected ONNX files of different names"):
        unpack(tmp_path / "pack.zip", folder)
    (tmp_path / "pack.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="expected a zip archive"):
        unpack(tmp_path / "pack.zip", folder)
    assert [path.name for path in folder.iterdir()] == ["old.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack", "pack.zip"]


def test_without_a_known_checksum_one_must_be_given(
    tmp_path: Path, teacher: bytes, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, "enet_b2_8", replace(ZOO["enet_b2_8"], sha256=None))
    assert ZOO["enet_b2_8"].digests == ()
    here = ("--models", str(tmp_path / "models"))
    for given in ((), ("--sha256", "12"), ("--sha256", "g" * 64)):
        output = models("pull", "enet_b2_8", *here, *given, code=2)
        assert (
            "enet_b2_8: expected its SHA-256, which is not known here, as --sha256 with 64 hexadecimal digits" in output
        )
    assert not served.asked
    models("pull", "enet_b2_8", *here, "--sha256", digest(teacher).upper())
    assert (tmp_path / "models" / "expression" / "enet_b2_8.onnx").read_bytes() == teacher
    assert "enet_b2_8: no checksum known; one picture: 8 classes" in models("check", *here)


def test_bad_input_gets_one_sentence(tmp_path: Path, teacher: bytes) -> None:
    here = ("--models", str(tmp_path / "models"))
    assert "NAME: expected one of edgeface_xs," in models("pull", "nobody", *here, code=2)
    output = models("pull", "edgeface_xs", *here, code=2)
    assert "edgeface_xs: expected a network with an address" in output and "github.com/otroshi/edgeface" in output
    output = models("pull", "enet_b2_8", *here, "--sha256", "0" * 64, code=2)
    assert f"--sha256: expected {digest(teacher)}, which the zoo knows of enet_b2_8, got 000" in output
    for command in ("check", "list"):  # a folder that was named and is not there
        assert f"--models: expected a folder of models, {tmp_path / 'models'} is none" in models(command, *here, code=2)
    assert "--models: expected networks in" in models("check", "--models", str(tmp_path), code=2)
    assert "got 'buffalo_x'; the nearest is buffalo_" in models("pull", "buffalo_x", *here, code=2)
    assert not (tmp_path / "models").exists()


def test_the_folder_is_the_variables_or_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACE_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "face-anonymization-search" / "models" and pulled_folder() is None
    monkeypatch.setenv("FACE_MODELS", str(tmp_path))
    assert cache_folder() == tmp_path == pulled_folder()
    monkeypatch.delenv("FACE_MODELS")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "face-anonymization-search" / "models"


@pytest.mark.real
def test_the_networks_of_the_test_data_are_right_and_run(shared: Path) -> None:
    output = models("check", "--models", str(shared / "models"))
    for name in ("edgeface_xs", "edgeface_xxs", "mobilefacenet_192", "facex", "mini_xception", "scrfd_2.5g"):
        assert f"{name}: right; one picture:" in output
