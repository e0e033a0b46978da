"""Bank: what is measured of the background's faces once, and stays: pictures moved to one shape, landmarks, codes."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from anonymizers.classical.averaging.warping import Located, locate, triangles_of, warp, with_frame
from anonymizers.faces import Faces
from anonymizers.signals import with_signals

CODE = ("coefficients", "pose")
"""Signals that say the expression and how the head is turned, and together are the code of a face."""
LANDMARKS = "landmarks68"
PENALTY = 0.01
"""Of the squared weights of the linear model, per face and in units of the standardized codes' variance."""
BATCH = 16
"""Pictures moved at a time."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Hold B faces of P background people; V points each, landmarks and the crop's frame; codes of D + 3 numbers.

    Attributes:
        pictures: (B, 3, S, S) uint8, moved to the mean shape.
        points: (B, V, 2) float32, px of the 112 px crop, where the points lay before.
        codes: (B, D + 3) float32, standardized: coefficients, then yaw, pitch and roll.
        center, deviation: (D + 3,) float32, which they were standardized by.
        mean: (V, 2) float32, the mean shape.
        slopes: (D + 3, V * 2) float32, by which the points move with the code, see `modelled`.
        shades: (D + 3, 3 * S * S) float32, by which the pixels of the mean shape do, gray levels.
        axes: (D, D) float32, principal axes of the expressions, orthonormal columns, that along which faces differ most
            first.
        triangles: (T, 3) int64, between the points of the mean shape.
        table: (P, M) int64, each person's faces, the first repeated where there are fewer than M.
    """

    pictures: Tensor
    points: Tensor
    codes: Tensor
    center: Tensor
    deviation: Tensor
    mean: Tensor
    slopes: Tensor
    shades: Tensor
    axes: Tensor
    triangles: Tensor
    table: Tensor

    @property
    def people(self) -> int:
        """Return the number of people P."""
        return len(self.table)

    @property
    def size(self) -> int:
        """Return the bytes that the bank holds."""
        return sum(value.nbytes for value in vars(self).values())

    def standardized(self, coefficients: Tensor, pose: Tensor) -> Tensor:
        """Return (N, D + 3) codes of (N, D) coefficients and (N, 3) poses."""
        return (torch.cat((coefficients, pose), 1) - self.center) / self.deviation

    def measured(self, codes: Tensor) -> Tensor:
        """Return (N, D + 3) codes as they would be measured, coefficients and pose, of standardized ones."""
        return codes * self.deviation + self.center

    def nearest(self, codes: Tensor, k: int, pose: float) -> Tensor:
        """Find donors: of the k people who have the nearest face, that face.

        Args:
            codes: (N, D + 3) float32.
            k: of different people, at most P.
            pose: weight of the pose's mean squared difference, in that of the coefficients'.

        Returns:
            (N, k) int64 of B, the nearest first.
        """
        last = codes.shape[1] - 3
        weight = codes.new_tensor([1 / last] * last + [pose / 3] * 3).sqrt()
        # Not by a matrix product, whose rounding depends on how many faces are asked for.
        away = torch.cdist(codes * weight, self.codes * weight, compute_mode="donot_use_mm_for_euclid_dist")
        least, picture = away[:, self.table].min(2)  # (N, P)
        people = least.sort(dim=1, stable=True).indices[:, :k]
        return self.table[people, picture.gather(1, people)]

    def simplified(self, codes: Tensor, axes: int) -> Tensor:
        """Leave of (N, D + 3) codes what the first principal axes say of the expression, and the pose; D is all."""
        last = len(self.axes)
        if axes >= last:
            return codes
        few = self.axes[:, :axes]
        # One by one: the rounding of a matrix product depends on its shape.
        said = torch.stack([few @ (code @ few) for code in codes[:, :last]])
        return torch.cat((said, codes[:, last:]), 1)

    def modelled(self, codes: Tensor) -> Tensor:
        """Return the (N, V, 2) points that a linear model of the background gives (N, D + 3) codes."""
        moved = (codes[:, :, None] * self.slopes).sum(1)
        return self.mean + moved.view(len(codes), -1, 2)

    def looks(self, codes: Tensor) -> Tensor:
        """Return by how much (N, 3, S, S) pictures in the mean shape change with (N, D + 3) codes, gray levels."""
        # One by one: the rounding of a matrix product depends on its shape.
        return torch.stack([code @ self.shades for code in codes]).view(len(codes), *self.pictures.shape[1:])


_BANKS: WeakKeyDictionary[Faces, Bank] = WeakKeyDictionary()


def bank_of(background: Faces) -> Bank:
    """Return the bank of background faces, measured once; faces that lack a signal are left out.

    Args:
        background: with the signals of CODE and landmarks68.
    """
    if background not in _BANKS:
        _BANKS[background] = _measured(background)
    return _BANKS[background]


def _measured(background: Faces) -> Bank:
    seen = with_signals(background, (*CODE, LANDMARKS), "donors")
    faces = background.take(torch.nonzero(seen)[:, 0])
    points = with_frame(faces.signals[LANDMARKS].float())
    mean = points.mean(0)
    triangles = triangles_of(mean)
    pictures = _moved(faces.images, points, locate(mean[None], triangles, faces.size))
    raw = torch.cat([faces.signals[name].float() for name in CODE], 1)
    center, deviation = spread_of(raw)
    codes = (raw - center) / deviation
    gram = codes.T @ codes / len(codes) + PENALTY * torch.eye(codes.shape[1], device=codes.device)
    project = torch.linalg.solve(gram, codes.T / len(codes))  # of a ridge; the codes' mean is 0
    slopes = project @ (points - mean).flatten(1)
    shades = project.new_zeros(codes.shape[1], pictures[0].numel())
    for start in range(0, len(pictures), BATCH):
        some = slice(start, start + BATCH)
        shades += project[:, some] @ pictures[some].flatten(1).float()
    axes = axes_of(codes)
    table = _by_person(faces.identity)
    return Bank(pictures, points, codes, center, deviation, mean, slopes, shades, axes, triangles, table)


def spread_of(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return center and deviation, (D + 3,) each, of (B, D + 3) coefficients and poses."""
    center, deviation = raw.mean(0), raw.std(0, correction=0)
    coefficients = deviation[:-3]
    floor = torch.cat((coefficients.median().expand_as(coefficients), deviation.new_zeros(3)))
    return center, torch.maximum(deviation, floor).clamp_min(1e-6)  # what hardly varies is noise, and counts less


def axes_of(codes: Tensor) -> Tensor:
    """Return the (D, D) principal axes of the expressions in (B, D + 3) centered codes, see `Bank`."""
    expressions = codes[:, :-3]
    axes: Tensor = torch.linalg.eigh(expressions.T @ expressions).eigenvectors
    return axes.flip(1).contiguous()


def _moved(images: Tensor, points: Tensor, shape: Located) -> Tensor:
    parts = [
        warp(images[rows].float(), points[rows], shape.expand(len(images[rows])))
        for rows in (slice(start, start + BATCH) for start in range(0, len(images), BATCH))
    ]
    return torch.cat(parts).round_().clamp_(0, 255).to(torch.uint8)


def _by_person(identity: Tensor) -> Tensor:
    """Return the (P, M) places of each person's faces, the first repeated where there are fewer."""
    places: dict[int, list[int]] = {}
    for place, person in enumerate(identity.tolist()):
        places.setdefault(person, []).append(place)
    most = max(map(len, places.values()))
    return torch.tensor([own + own[:1] * (most - len(own)) for own in places.values()]).to(identity.device)
