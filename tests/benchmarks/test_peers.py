"""The benchmark against toolboxes: both sides score the same pairs the same."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anonymizers import Blur, Context
from benchmarks.lfw import View2
from benchmarks.peers import ours, peer
from tests.conftest import smooth_faces


class Blocks:
    """Embed a picture as the means of its blocks, less their mean; count what it was asked."""

    name = "blocks"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        blocks = functional.avg_pool2d(images.float(), 8).flatten(1)
        return functional.normalize(blocks - blocks.mean(1, keepdim=True), dim=1)


def test_both_sides_score_the_pairs_equally_and_only_the_peer_looks_at_them_again() -> None:
    faces = smooth_faces(4, 3, size=48)
    left = ("0/0", "0/0", "1/3", "1/3", "2/6")
    right = ("0/1", "2/7", "1/4", "0/1", "2/7")
    view = View2(left, right, torch.tensor([True, False, True, False, True]), torch.zeros(5, dtype=torch.int64))
    crops = {key: faces.images[i : i + 1] for i, key in enumerate(faces.key)}
    blurs, theirs, mine = [Blur(kernel=11), Blur(kernel=21)], Blocks(), Blocks()
    slow, fast = peer(view, blurs, crops.__getitem__, theirs), ours(view, blurs, faces, mine)
    assert theirs.batches == [1] * 20
    assert mine.batches == [3, 3, 3]  # three distinct clear pictures once, three anonymized ones per configuration
    for a, b, blur in zip(slow, fast, blurs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
        hidden = theirs(blur(faces, Context()))
        clear = theirs(faces.images)
        expected = [
            float(hidden[faces.key.index(p)] @ clear[faces.key.index(q)]) for p, q in zip(left, right, strict=True)
        ]
        torch.testing.assert_close(a, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)
    assert not torch.equal(slow[0], slow[1])
