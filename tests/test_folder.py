"""Folders of people: what is read, what is refused, how people are split, how faces are aligned."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from insightface.utils import face_align
from PIL import Image

from evaluators.alignment import TEMPLATE, align, similarity
from evaluators.datasets.folder import folder_protocol, load_faces, near_duplicates, read_people, split_people
from evaluators.onnx_nets import load_detector
from tests.conftest import smooth_faces


def test_the_similarity_recovers_a_known_one() -> None:
    angle, scale, shift = 0.3, 2.5, np.array([40.0, -7.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = similarity(TEMPLATE @ turn.T + shift)
    assert np.allclose(back[:, :2] @ turn, np.eye(2), atol=1e-9)
    assert np.allclose(back @ np.append(TEMPLATE[0] @ turn.T + shift, 1), TEMPLATE[0], atol=1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_crops_equal_those_of_insightface() -> None:
    generator = np.random.default_rng(0)
    picture = cv2.GaussianBlur(generator.integers(0, 256, (250, 250, 3), dtype=np.uint8), (9, 9), 0)
    for _ in range(5):
        landmarks = (TEMPLATE + generator.normal(0, 3, (5, 2)) + 60).astype(np.float32)
        ours, theirs = align(picture, landmarks), face_align.norm_crop(picture, landmarks)
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_people_are_split_by_identity_as_the_protocol_says() -> None:
    counts = {f"p{i:03}": 1 + i % 8 for i in range(200)}
    split = split_people(counts, seed=0)
    assert set(split.gallery) == set(split.probe) == set(split.evaluation)
    roles = [set(split.background), set(split.attacker), set(split.evaluation)]
    assert sum(map(len, roles)) == len(set.union(*roles)) == 200
    assert [len(role) for role in roles] == [50, 50, 100]
    for name, pictures in split.gallery.items():
        assert counts[name] >= 2
        assert not set(pictures) & set(split.probe[name])
        assert len(pictures) == counts[name] // 2
    assert split_people(counts, seed=0) == split
    assert split_people(counts, seed=1) != split


def test_min_and_max_pictures_choose_the_evaluation_people() -> None:
    counts = {f"p{i:03}": 1 + i % 12 for i in range(120)}
    split = split_people(counts, seed=0, min_pictures=10, max_pictures=10)
    assert set(split.gallery) == {name for name, n in counts.items() if n >= 10}
    assert all(len(split.gallery[n]) == len(split.probe[n]) == 5 for n in split.gallery)
    assert len(split.attacker) == 60
    assert len(split.background) == 30


@pytest.mark.parametrize(
    ("counts", "options", "sentence"),
    [
        ({"a": 5, "b": 5}, {"min_pictures": 5}, "beside the 2 evaluated ones"),
        ({"a": 5, "b": 1, "c": 1}, {}, "expected at least 2 people with 2 pictures"),
        ({"a": 5, "b": 5, "c": 5}, {"min_pictures": 1}, "--min-pictures"),
        ({"a": 5, "b": 5, "c": 5}, {"max_pictures": 1}, "--max-pictures"),
    ],
)
def test_a_set_that_cannot_carry_a_split_is_refused(
    counts: dict[str, int], options: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        split_people(counts, seed=0, **options)


def test_pictures_are_listed_by_person(tmp_path: Path) -> None:
    for name in ("Zoë K", "Bo", ".hidden"):
        (tmp_path / name).mkdir()
        for file in ("b.JPG", "a.png", "notes.txt", ".c.png"):
            (tmp_path / name / file).touch()
    (tmp_path / "empty").mkdir()
    people = read_people(tmp_path)
    assert list(people) == ["Bo", "Zoë K"]
    assert [p.name for p in people["Bo"]] == ["a.png", "b.JPG"]
    with pytest.raises(ValueError, match="is none"):
        read_people(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="at least two pictures"):
        read_people(tmp_path / "empty")


def test_copies_on_two_sides_are_found_and_the_probe_stays() -> None:
    faces = smooth_faces(8, 2)
    images = faces.images.clone()
    images[3] = images[0]
    noisy = images[1].int() + torch.randint(-2, 3, images[1].shape, generator=torch.Generator().manual_seed(0))
    images[5] = noisy.clamp(0, 255).to(torch.uint8)
    probe, gallery, attacker = 3, 2, 1
    side = torch.tensor([probe] * 3 + [gallery] + [attacker] * 12)
    assert near_duplicates(images, side) == {3: 0, 5: 1}
    assert near_duplicates(images, torch.ones(16, dtype=torch.int64)) == {}


@pytest.mark.real
def test_what_cannot_be_used_is_listed_with_its_reason(shared: Path, tmp_path: Path) -> None:
    source = sorted((shared / "data" / "lfw").glob("*/*.jpg"))[:2]
    paths = []
    for number, path in enumerate(source):
        paths.append(tmp_path / f"face{number}.jpg")
        paths[-1].write_bytes(path.read_bytes())
    (tmp_path / "torn.jpg").write_bytes(source[0].read_bytes()[:900])
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (120, 120), (9, 99, 9)).save(tmp_path / "meadow.png")
    paths += [tmp_path / "torn.jpg", tmp_path / "text.png", tmp_path / "meadow.png"]
    faces, rejected = load_faces(tmp_path, paths, [4, 5, 6, 7, 8], load_detector(shared / "models", threads=1))
    assert faces.key == ("face0.jpg", "face1.jpg")
    assert faces.identity.tolist() == [4, 5]
    reasons = {item.key: item.reason for item in rejected}
    assert reasons["meadow.png"] == "no face found"
    assert reasons["torn.jpg"].startswith("unreadable")
    assert reasons["text.png"].startswith("unreadable")


@pytest.mark.real
def test_a_sideways_picture_is_turned_as_its_exif_says(shared: Path, tmp_path: Path) -> None:
    source = next(iter(sorted((shared / "data" / "lfw").glob("*/*.jpg"))))
    upright = Image.open(source)
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: show it turned by 90 degrees
    upright.save(tmp_path / "upright.png")
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    detector = load_detector(shared / "models", threads=1)
    faces, _ = load_faces(tmp_path, [tmp_path / "upright.png", tmp_path / "turned.png"], [0, 0], detector)
    assert torch.equal(faces.images[0], faces.images[1])


@pytest.mark.real
@pytest.mark.slow
def test_a_protocol_from_lfw_keeps_people_apart(shared: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(sorted((shared / "data" / "lfw").iterdir())):
        if len(list(folder.iterdir())) >= 4 or number % 60 == 0:
            (tmp_path / folder.name).symlink_to(folder)
        if number > 900:
            break
    protocol = folder_protocol(
        tmp_path, load_detector(shared / "models", threads=1), min_pictures=4, max_pictures=4, attacker_faces=10
    )
    assert protocol.enrolled.numel() >= 20
    assert len(protocol.gallery) == len(protocol.probe)
    assert not set(protocol.probe.identity.tolist()) & set(protocol.attacker.identity.tolist())
