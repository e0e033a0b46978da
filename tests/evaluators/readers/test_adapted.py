"""The adapted reader: each target is read in the view that serves it."""

from __future__ import annotations

import torch

from evaluators.readers.adapted import learned
from evaluators.readers.sight import View


def test_each_target_is_read_where_people_left_out_are_read_best() -> None:
    """One view shows the classes alone, the other the coefficients alone."""
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(600, 2, generator=generator)
    kind = torch.randint(0, 2, (600,), generator=generator)

    def view(column: int, shown: torch.Tensor) -> View:
        features = torch.randn(600, 5, generator=generator)
        features[:, column] = 4.0 * shown
        return View(features[300:], features[:300])

    views = [view(0, kind), view(1, said[:, 0])]
    targets = {"kind": kind[:300], "said": said[:300, :1]}
    read = learned(views, targets, torch.arange(300) // 3, [5])
    assert (read["kind"].argmax(1) == kind[300:]).double().mean() > 0.95
    assert torch.corrcoef(torch.stack((read["said"][:, 0], said[300:, 0])))[0, 1] > 0.95
    for one in views:  # neither view serves both
        alone = learned([one], targets, torch.arange(300) // 3, [5])
        right = (alone["kind"].argmax(1) == kind[300:]).double().mean()
        close = torch.corrcoef(torch.stack((alone["said"][:, 0], said[300:, 0])))[0, 1]
        assert min(right, close) < 0.6
