"""Real networks on real faces: conventions, checksums, figures of the test data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluators.datasets.folder import folder_protocol
from evaluators.identity import person_scores, rank_credit
from evaluators.nets import Embedder, Teacher
from evaluators.onnx_nets import EMBEDDERS, TEACHERS, OnnxEmbedder, OnnxTeacher, checked, load_detector, session
from evaluators.protocol import Protocol

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def protocol(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    """Read some LFW people with six pictures each."""
    folder = tmp_path_factory.mktemp("lfw")
    people = [p for p in sorted((shared / "data" / "lfw").iterdir()) if len(list(p.iterdir())) >= 6][:40]
    others = [p for p in sorted((shared / "data" / "lfw").iterdir()) if len(list(p.iterdir())) == 2][:20]
    for person in people + others:
        (folder / person.name).symlink_to(person)
    return folder_protocol(folder, load_detector(shared / "models", threads=1), min_pictures=6, max_pictures=6)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedders_know_people(name: str, shared: Path, protocol: Protocol) -> None:
    net = OnnxEmbedder(shared / "models", name, threads=1)
    assert isinstance(net, Embedder)
    probe, gallery = net(protocol.probe.images), net(protocol.gallery.images)
    assert torch.allclose(probe.norm(dim=1), torch.ones(len(probe)), atol=1e-5)
    scores = person_scores(probe, gallery, protocol.person(protocol.gallery), len(protocol.enrolled))
    assert float(rank_credit(scores, protocol.person(protocol.probe), 1).mean()) >= 0.98
    assert torch.allclose(net(protocol.probe.images[:5]), probe[:5], atol=1e-4)


@pytest.mark.parametrize("name", TEACHERS)
def test_teachers_answer_with_logits_and_pooled_features(name: str, shared: Path, protocol: Protocol) -> None:
    net = OnnxTeacher(shared / "models", name, threads=1)
    assert isinstance(net, Teacher)
    out = net(protocol.probe.images[:40])
    assert out.logits.shape == (40, 7)
    assert out.features.ndim == 2
    assert len(set(net.classes)) == 7
    assert out.logits.argmax(1).unique().numel() >= 3


def test_teachers_agree_on_smiles_by_name_not_by_position(shared: Path, protocol: Protocol) -> None:
    nets = [OnnxTeacher(shared / "models", name, threads=1) for name in TEACHERS]
    happy = [net(protocol.probe.images).logits.softmax(1)[:, net.classes.index("happy")] for net in nets]
    assert float(np.corrcoef(happy[0], happy[1])[0, 1]) > 0.4


def test_the_detector_finds_faces_in_clear_crops_and_none_in_black_ones(shared: Path, protocol: Protocol) -> None:
    detector = load_detector(shared / "models", threads=1)
    assert float(detector(protocol.probe.images[:60]).double().mean()) >= 0.95
    assert not detector(torch.zeros(2, 3, 112, 112, dtype=torch.uint8)).any()


def test_another_file_is_refused_by_its_checksum(shared: Path, tmp_path: Path) -> None:
    forged = tmp_path / "edgeface_xs.onnx"
    forged.write_bytes(b"not a network")
    with pytest.raises(ValueError, match="fetch it again"):
        checked(forged, EMBEDDERS["edgeface_xs"].sha256)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(shared: Path) -> None:
    with pytest.raises(ValueError, match="--device cuda"):
        session((shared / "models" / "expression" / "mini_xception.onnx").read_bytes(), threads=1, device="cuda")
