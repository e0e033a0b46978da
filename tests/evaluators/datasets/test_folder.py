from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anonymizers.faces import named, person_of
from anonymizers.generative.resident import person_digest
from evaluators.datasets.alignment import TEMPLATE
from evaluators.datasets.duplicates import near_duplicates
from evaluators.datasets.folder import folder_protocol, load_faces, read_people
from evaluators.datasets.protocol import Protocol
from evaluators.datasets.split import is_background, split_people
from evaluators.networks.detection import Detection
from tests.places import SHARED


class Whole:
    """Finds one face in each picture, as large as the picture; none in a black one."""

    def detect(self, picture: np.ndarray) -> list[Detection]:
        height, width = picture.shape[:2]
        if not picture[height // 4 : height - height // 4, width // 4 : width - width // 4].any():
            return []  # a gray frame around a black picture shows no face either
        landmarks = (TEMPLATE * [width / 112, height / 112]).astype(np.float32)
        return [Detection(np.array([0, 0, width, height], np.float32), 1.0, landmarks)]


def draw(path: Path, seed: int, *, black: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), dtype=np.uint8) * (not black)
    Image.fromarray(small.astype(np.uint8)).resize((112, 112), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for person in range(8):
        for picture in range(4):
            draw(tmp_path / f"p{person}" / f"{picture}.png", 10 * person + picture)
    return tmp_path


def test_read_people_sorts_and_ignores_what_is_hidden_or_no_picture(tree: Path) -> None:
    draw(tree / "p0" / "deeper" / "x.JPG", 1000)
    draw(tree / "p0" / ".hidden.png", 1001)
    draw(tree / ".git" / "a.png", 1002)
    (tree / "p0" / "notes.txt").write_text("no picture")
    (tree / "empty").mkdir()
    (tree / "linked").symlink_to(tree / "p1")
    _, people = read_people(tree)
    assert list(people) == ["linked", *(f"p{i}" for i in range(8))]
    assert [path.relative_to(tree).as_posix() for path in people["p0"]] == [
        *(f"p0/{i}.png" for i in range(4)),
        "p0/deeper/x.JPG",
    ]
    assert len(people["linked"]) == 4


def test_read_people_refuses_what_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere is none"):
        read_people(tmp_path / "nowhere")
    draw(tmp_path / "flat.png", 0)
    with pytest.raises(ValueError, match=r"--data: expected one folder of pictures .* per person"):
        read_people(tmp_path)
    draw(tmp_path / "a" / "1.png", 0)
    draw(tmp_path / "b" / "1.png", 1)
    with pytest.raises(ValueError, match=r"at least 2 pictures .* each of the 2 people"):
        read_people(tmp_path)


def test_default_split_is_a_quarter_a_quarter_and_a_half() -> None:
    counts = {f"p{i:03}": 1 + i % 5 for i in range(100)}
    split = split_people(counts, seed=3)
    sides = [set(split.background), set(split.attacker), set(split.evaluation)]
    assert [len(side) for side in sides] == [25, 25, 50] and set.union(*sides) == set(counts)
    assert sides[0] == {name for name in counts if is_background(name)}
    assert all(counts[name] >= 2 for name in split.evaluation)
    for name in split.evaluation:
        gallery, probe = split.gallery[name], split.probe[name]
        assert sorted(gallery + probe) == list(range(counts[name])) and len(gallery) == counts[name] // 2
    assert split == split_people(dict(reversed(counts.items())), seed=3)
    assert split.evaluation != split_people(counts, seed=4).evaluation


def test_min_pictures_evaluates_everybody_who_has_them_and_max_pictures_cuts() -> None:
    counts = {f"p{i:03}": 12 if i < 10 else 3 for i in range(40)}
    split = split_people(counts, seed=0, min_pictures=10, max_pictures=7)
    assert split.evaluation == tuple(f"p{i:03}" for i in range(10))
    assert set(split.background) == {name for name in counts if counts[name] == 3 and is_background(name, 1 / 3)}
    assert len(split.attacker) + len(split.background) == 30
    assert all((len(split.gallery[n]), len(split.probe[n])) == (3, 4) for n in split.evaluation)
    assert {len(split.pictures[n]) for n in split.attacker} == {3}


@pytest.mark.parametrize(
    ("counts", "options", "sentence"),
    [
        ({"a": 2, "b": 1, "c": 1}, {}, r"at least 2 people with 2 pictures or more, got 1 of 3"),
        ({"a": 9, "b": 9, "c": 8}, {"min_pictures": 10}, r"with 10 pictures or more, got 0 of 3"),
        ({"a": 2, "c": 2}, {}, r"at least 1 person beside the 2 evaluated ones,"),
        ({"a": 2, "b": 2, "c": 2}, {}, r"beside the 2 evaluated ones and the 1 who are background by their names"),
        ({"a": 2, "b": 2}, {}, r"got 1 of 2; 1 are background by their names; lower it or give more pictures"),
        ({"a": 2, "b": 2, "c": 2}, {"min_pictures": 2}, r"at least 1 person beside the 3 evaluated ones"),
        ({"a": 2, "b": 2, "c": 2}, {"min_pictures": 1}, r"--min-pictures: expected at least 2 .* got 1"),
        ({"a": 2, "b": 2, "c": 2}, {"max_pictures": 1}, r"--max-pictures: expected at least 2 .* got 1"),
    ],
)
def test_split_refuses_what_cannot_carry_it(counts: dict[str, int], options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        split_people(counts, seed=0, **options)


def test_three_people_are_just_enough() -> None:
    split = split_people({"a": 2, "c": 2, "e": 1}, seed=0)
    assert (split.evaluation, split.attacker, split.background) == (("a", "c"), ("e",), ())


def test_the_background_is_the_same_whatever_the_seed_and_whichever_pictures_were_usable() -> None:
    names = [f"somebody {i}" for i in range(4000)]
    share = sum(map(is_background, names)) / len(names)
    assert abs(share - 0.25) < 0.025  # 3.6 standard deviations
    assert {n for n in names if is_background(n)} < {n for n in names if is_background(n, 1 / 3)}
    few = {name: 2 + i % 4 for i, name in enumerate(names[:60])}
    whole = split_people(few, seed=0).background
    assert whole == split_people(few, seed=5).background == split_people(dict.fromkeys(few, 2), seed=0).background
    rest = dict(list(few.items())[::2])  # half of the people had no usable picture at all
    assert split_people(rest, seed=1).background == tuple(name for name in whole if name in rest)
    many = split_people(few, seed=2, min_pictures=5)
    assert {name for name in whole if few[name] < 5} <= set(many.background)
    # A name is one name however its accents are composed.
    assert is_background("Jos\u00e9") == is_background("Jose\u0301") and person_digest("Jos\u00e9/1") == person_digest(
        "Jose\u0301/1"
    )


def test_who_was_trained_on_is_background_whatever_else() -> None:
    counts = {f"p{i:03}": 12 if i < 10 else 3 for i in range(40)}
    trained = [person_digest(f"{name}/1.png") for name in ("p003", "p011", "p012", "p013", "p014")]
    for options in ({"min_pictures": 10}, {}):
        split = split_people(counts, seed=0, trained=frozenset(trained), **options)  # type: ignore[arg-type]
        assert {"p003", "p011", "p012", "p013", "p014"} <= set(split.background)
        assert not {"p003", "p011"} & {*split.evaluation, *split.attacker}
    assert len(split_people(counts, seed=0, min_pictures=10, trained=frozenset(trained)).evaluation) == 9


def test_load_faces_counts_what_it_cannot_use_and_applies_the_cameras_orientation(tree: Path) -> None:
    (tree / "p0" / "broken.jpg").write_bytes(b"no picture")
    (tree / "p0" / "gone.png").symlink_to(tree / "nothing")
    draw(tree / "p0" / "black.png", 0, black=True)
    upright = np.asarray(Image.open(tree / "p0" / "0.png"))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise when shown
    Image.fromarray(np.rot90(upright).copy()).save(tree / "p0" / "turned.png", exif=exif)
    Image.fromarray(upright[..., 0]).save(tree / "p0" / "gray.png")
    paths = sorted((tree / "p0").iterdir())
    seen: list[tuple[int, int]] = []
    faces, rejected = load_faces(tree, paths, [7] * len(paths), Whole(), progress=lambda *at: seen.append(at))
    assert faces.key == tuple(f"p0/{n}.png" for n in ("0", "1", "2", "3", "gray", "turned"))
    assert {r.key: r.reason for r in rejected} == {
        "p0/black.png": "no face",
        "p0/broken.jpg": "unreadable: UnidentifiedImageError",
        "p0/gone.png": "unreadable: FileNotFoundError",
    }
    assert seen == [(i, 9) for i in range(1, 10)]
    assert (faces.images[0] == torch.from_numpy(upright.copy()).permute(2, 0, 1)).float().mean() > 0.99
    assert torch.equal(faces.images[5], faces.images[0])
    assert faces.identity.tolist() == [7] * 6 and faces.expression.tolist() == [-1] * 6


def test_near_duplicates_are_found_however_they_were_saved_and_only_across_sides() -> None:
    images = torch.rand(6, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(images, size=112, mode="bicubic").clamp(0, 1)
    images[1] = images[0] * 0.7 + 0.1  # darker, flatter
    images[3] = (images[2] + 0.03 * torch.randn(3, 112, 112, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    images[5] = images[4]
    images = (images * 255).byte()
    assert near_duplicates(images, torch.tensor([0, 3, 3, 1, 2, 2])) == {0: 1, 3: 2}
    assert near_duplicates(torch.zeros_like(images), torch.arange(6)) == {}


def test_folder_protocol_splits_counts_and_repeats(tree: Path) -> None:
    protocol = folder_protocol(tree, Whole(), seed=1)
    sizes = [len(side) for side in (protocol.background, protocol.attacker, protocol.gallery, protocol.probe)]
    assert sizes == [8, 8, 8, 8] and protocol.facts["rejected"] == 0 and protocol.name == tree.name
    assert protocol.digest == folder_protocol(tree, Whole(), seed=1, workers=1).digest
    assert protocol.digest != folder_protocol(tree, Whole(), seed=2).digest
    small = folder_protocol(tree, Whole(), seed=1, attacker_faces=3, background_faces=0)
    assert (len(small.attacker), len(small.background), small.facts["n_read"]) == (3, 0, 19)
    assert torch.equal(small.probe.images, protocol.probe.images)


def test_keys_name_people_wherever_a_set_lies(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = folder_protocol(tree, Whole(), seed=1)
    other = tmp_path_factory.mktemp("other") / "archive"
    for part, pictures in (("train", "01"), ("test", "23")):
        for person in range(8):
            for picture in pictures:
                path = other / part / f"p{person}" / "session" / f"{picture}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes((tree / f"p{person}" / f"{picture}.png").read_bytes())
    again = folder_protocol(other, Whole(), seed=4)

    def people(protocol: Protocol, role: str) -> set[str]:
        return {person_of(key) for key in getattr(protocol, role).key}

    assert people(whole, "background") == people(again, "background") == {"p5", "p6"}
    assert again.background.key[0].startswith("p5/test/p5/session/")
    assert people(again, "gallery") | people(again, "attacker") == {f"p{i}" for i in (0, 1, 2, 3, 4, 7)}
    assert named("a/b", "deep/1.png") == "a%2Fb/deep/1.png" and named("p5", "p5/1.png") == "p5/1.png"
    assert (person_of("fer2013#12"), person_of("p5/1.png")) == ("fer2013#12", "p5")


def test_a_repeated_picture_leaves_the_side_that_is_not_probe(tree: Path) -> None:
    before = folder_protocol(tree, Whole(), seed=1)
    probe, enrolled, other = before.probe.key[0], before.gallery.key[-1], before.attacker.key[0]
    for key in (enrolled, other):
        (tree / key).write_bytes((tree / probe).read_bytes())
    protocol = folder_protocol(tree, Whole(), seed=1)
    assert protocol.facts["rejected_pictures"] == dict.fromkeys((enrolled, other), f"near-duplicate of {probe}")
    assert protocol.facts["rejected_reasons"] == {"near-duplicate": 2}
    assert probe in protocol.probe.key and not {enrolled, other} & {*protocol.gallery.key, *protocol.attacker.key}


def test_who_loses_the_last_gallery_picture_leaves_and_is_counted(tree: Path) -> None:
    before = folder_protocol(tree, Whole(), seed=1)
    person = before.probe.key[0].partition("/")[0]
    for key in before.gallery.key:
        if key.startswith(f"{person}/"):
            draw(tree / key, 0, black=True)
    protocol = folder_protocol(tree, Whole(), seed=1)
    assert protocol.facts["left_evaluation"] == [person]
    assert protocol.facts["rejected_reasons"] == {
        "no face": 2,
        "the person's last gallery picture was rejected": 2,
    }
    assert protocol.enrolled.numel() == 3
    for key in before.gallery.key + before.probe.key:
        draw(tree / key, 0, black=True)
    with pytest.raises(ValueError, match=r"got 0 and 2 in .* after \{'no face': 16\}"):
        folder_protocol(tree, Whole(), seed=1)


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "data" / "lfw").is_dir(), reason="needs LFW of the test data")
def test_lfw_gives_158_people_with_five_and_five_pictures() -> None:
    _, people = read_people(SHARED / "data" / "lfw")
    assert (len(people), sum(map(len, people.values()))) == (5748, 13232)
    split = split_people({n: len(p) for n, p in people.items()}, seed=0, min_pictures=10, max_pictures=10)
    assert len(split.evaluation) == 158
    assert all(len(split.gallery[n]) == len(split.probe[n]) == 5 for n in split.evaluation)
