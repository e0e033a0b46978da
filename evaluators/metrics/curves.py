"""Curves of an attacker: how often he is right within k names, and how often he accepts whom at which price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.metrics.identification import cmc
from evaluators.metrics.pairs import roc_at, split_pairs

FARS = np.logspace(-4, 0, 81)
"""False accept rates at which the ROC is kept: 20 to a decade."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Hold the curves of one attacker on one configuration (ISO/IEC 19795-1).

    Attributes:
        cmc: (P,) float64, rank-k rates for k = 1 … P.
        far: (F,) float64, false accept rates that the impostor pairs can carry: at least one pair lies above.
        tar: (F,) float64, true accept rates there.
    """

    cmc: NDArray[np.float64]
    far: NDArray[np.float64]
    tar: NDArray[np.float64]

    def plain(self) -> dict[str, list[float]]:
        """Return the curves ready for JSON."""
        return {name: getattr(self, name).tolist() for name in ("cmc", "far", "tar")}


def curves_of(scores: Tensor, person: Tensor) -> Curves:
    """Compute both curves.

    Args:
        scores: (N, P) float, larger is likelier.
        person: (N,) int64 in [0, P), who it is.
    """
    genuine, impostor = split_pairs(scores, person)
    far = FARS[FARS * len(impostor) >= 1]
    tar = roc_at(genuine, impostor, torch.from_numpy(far).to(genuine.device))
    return Curves(cmc(scores, person).cpu().numpy(), far, tar.cpu().numpy())
