"""Ridge regression from pictures to pictures, in its dual form: any fixed linear mixing of pixels can be undone by it.

Source: Hoerl and Kennard, Technometrics 1970 (https://doi.org/10.1080/00401706.1970.10488634); the dual form and its
leave-one-out errors: Saunders, Gammerman and Vovk, ICML 1998; Cawley and Talbot, Neural Networks 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PENALTIES = tuple(10.0**e for e in range(-6, 3))
"""Tried, in units of the mean eigenvalue of the pictures' products."""
COMPARED = 512
"""Targets, evenly spaced, by which penalties are compared: the others' errors rise and fall with theirs."""
CHUNK = 256
"""Pixel values whose products are summed at a time: sums of so many products of bytes are exact in float32."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """Hold a fitted regression.

    Attributes:
        seen: (A, P) uint8, the pictures that it was fitted on.
        mean: (A,) float64, mean product of each with all of them; `total` () float64, the mean of those.
        dual: (A, Q) float32, weights of the pictures.
        offset: (Q,) float32, mean target.
        penalty: in units of the mean eigenvalue, with the least leave-one-out error.
    """

    seen: Tensor
    mean: Tensor
    total: Tensor
    dual: Tensor
    offset: Tensor
    penalty: float

    def __call__(self, pictures: Tensor) -> Tensor:
        """Map (N, P) uint8 pictures to (N, Q) float32 targets."""
        product = products(pictures, self.seen)
        product = product - product.mean(1, keepdim=True) - self.mean + self.total
        return product.float() @ self.dual + self.offset


def fit(pictures: Tensor, target: Tensor) -> tuple[Ridge, Tensor]:
    """Fit the regression, its penalty by the leave-one-out error.

    Args:
        pictures: (A, P) uint8, more than one.
        target: (A, Q) float32.

    Returns:
        The regression, and (A, Q) float32: what it would say of each picture had it not seen that one.
    """
    count = len(pictures)
    product = products(pictures, pictures)
    mean = product.mean(1)
    total = mean.mean()
    centered = product - mean[:, None] - mean[None, :] + total
    center = target.double().mean(0)
    y, offset = target.double() - center, center.float()  # what rounding leaves of a mean, small penalties enlarge
    values, vectors = torch.linalg.eigh(centered)
    values = values.clamp_min(0)
    unit = float(values.mean())
    if unit == 0:  # equal pictures: nothing to learn but the mean of the others
        ridge = Ridge(pictures, mean, total, torch.zeros_like(target), offset, PENALTIES[-1])
        return ridge, offset - (target - offset) / (count - 1)
    turned = vectors.T @ y

    def residual(penalty: float, turned: Tensor) -> tuple[Tensor, Tensor]:
        """Return dual weights and leave-one-out residuals of (A, Q) targets in the axes, each (A, Q)."""
        shrunk = 1 / (values + penalty * unit)
        dual = vectors @ (shrunk[:, None] * turned)
        influence = (vectors.square() * shrunk).sum(1) - 1 / (penalty * unit * count)
        return dual, dual / influence.clamp_min(1e-12 / unit)[:, None]

    some = torch.linspace(0, y.shape[1] - 1, min(COMPARED, y.shape[1]), device=y.device).long()
    errors = {penalty: float(residual(penalty, turned[:, some])[1].square().mean()) for penalty in PENALTIES}
    best = min(errors, key=lambda penalty: errors[penalty])
    dual, left = residual(best, turned)
    return Ridge(pictures, mean, total, dual.float(), offset, best), (target - left.float())


def products(a: Tensor, b: Tensor) -> Tensor:
    """Return (N, M) float64 products of (N, P) and (M, P) uint8 pictures of range [0, 1]."""
    out = torch.zeros(len(a), len(b), dtype=torch.float64, device=a.device)
    for start in range(0, a.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        out += (a[:, part].float() @ b[:, part].float().T).double()
    return out / 255**2
