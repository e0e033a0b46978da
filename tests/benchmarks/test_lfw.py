"""The benchmark of the networks: LFW's pairs, and an embedder's accuracy on them against an independent figure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.lfw import INDEPENDENT, calibrated, most_pictured, rank1, read_lfw, read_pairs, verify
from evaluators.metrics.expression import ece
from evaluators.metrics.pairs import fold_accuracies
from evaluators.networks.loaders import load_embedder
from tests.places import SHARED

LFW, PAIRS = SHARED / "data" / "lfw", SHARED / "data" / "lfw_pairs.txt"


def test_pairs_are_read_with_their_folds(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("2\t1\nAda\t1\t12\nAda\t1\tBo\t3\nCy\t2\t4\nBo\t3\tCy\t2\n")
    view = read_pairs(path)
    assert view.left == ("Ada/Ada_0001.jpg", "Ada/Ada_0001.jpg", "Cy/Cy_0002.jpg", "Bo/Bo_0003.jpg")
    assert view.right == ("Ada/Ada_0012.jpg", "Bo/Bo_0003.jpg", "Cy/Cy_0004.jpg", "Cy/Cy_0002.jpg")
    assert view.same.tolist() == [True, False, True, False]
    assert view.fold.tolist() == [0, 0, 1, 1]
    row = {"Ada/Ada_0001.jpg": 0, "Ada/Ada_0012.jpg": 1, "Bo/Bo_0003.jpg": 2, "Cy/Cy_0002.jpg": 3}
    score, same, fold = verify(row, torch.tensor([[1.0, 0], [0.8, 0.6], [0, 1], [-1, 0]]), view)
    assert score.tolist() == pytest.approx([0.8, 0, 0])  # Cy's fourth picture is not there
    assert (same.tolist(), fold.tolist()) == ([True, False, False], [0, 0, 1])
    path.write_text("10\t300\nAda\t1\t2\n")
    with pytest.raises(ValueError, match=r"expected 6000 pairs .* has 1"):
        read_pairs(path)


def test_rank1_counts_who_is_nearest() -> None:
    keys = [f"{name}/{name}_{i:04d}.jpg" for name in ("Ada", "Bo") for i in range(1, 11)] + ["Cy/Cy_0001.jpg"]
    people = most_pictured(keys)
    assert {name: len(own) for name, own in people.items()} == {"Ada": 10, "Bo": 10}
    angle = torch.zeros(21)
    angle[10:20] = 1.5
    angle[17:20] = 0.1  # three of Bo's probes look like Ada
    embedding = torch.stack([angle.cos(), angle.sin()], 1)
    assert rank1({key: i for i, key in enumerate(keys)}, embedding, people, 5) == pytest.approx(0.7)


def test_temperatures_come_from_the_other_half_of_the_people() -> None:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (600,), generator=generator)
    logits = torch.nn.functional.one_hot(label, 3) + torch.randn(600, 3, generator=generator)
    person = torch.arange(600) // 2
    scaled, temperatures = calibrated(5 * logits, label, person)
    assert all(3 < t < 8 for t in temperatures)
    assert ece(scaled.softmax(1), label) < 0.5 * ece((5 * logits).softmax(1), label)
    ratio = (5 * logits / scaled).mean(1)
    first = (ratio - temperatures[0]).abs() < 1e-3
    assert torch.equal(first[::2], first[1::2])  # a person's pictures stay together
    assert int(first.sum()) == 300
    assert torch.allclose(ratio[~first], torch.tensor(temperatures[1]), atol=1e-3)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not LFW.is_dir() or not PAIRS.is_file(), reason="needs LFW of the test data")
def test_view_2_agrees_with_the_independent_figure() -> None:
    view = read_pairs(PAIRS)
    faces = read_lfw(LFW, SHARED / "models", set(view.left) | set(view.right))
    embedding = load_embedder(SHARED / "models", "edgeface_xs")(faces.images)
    score, same, fold = verify({key: i for i, key in enumerate(faces.key)}, embedding, view)
    assert len(score) == 6000 and int(same.sum()) == 3000
    folds = fold_accuracies(score, same, fold)
    error = float(folds.std()) / len(folds) ** 0.5
    assert error < 0.002
    assert float(folds.mean()) == pytest.approx(INDEPENDENT["edgeface_xs"], abs=error)
