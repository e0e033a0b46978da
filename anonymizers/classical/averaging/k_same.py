"""k-Same: release the mean of at least k people, to at least k people.

Sources: Newton, Sweeney and Malin, Preserving privacy by de-identifying face images, IEEE TKDE 2005
(https://doi.org/10.1109/TKDE.2005.32), for k-Same-Pixel; Gross, Airoldi, Malin and Sweeney, Integrating utility into
face de-identification, PET 2005 (https://doi.org/10.1007/11767831_15), for k-Same-Select.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, batches
from anonymizers.classical.regions import REGION, mask, within
from anonymizers.faces import Faces
from anonymizers.ranges import Choice, Integer, ranged


@dataclass(frozen=True)
class KSame(Anonymizer):
    """Replace each face by the mean of a group of at least k different people, who all get the same picture.

    k-Same is defined on one picture per person. Sets with several are worked through in rounds: the r-th round holds
    every person's r-th picture. Within a round a face is drawn, its k - 1 nearest by squared pixel distance join it,
    and the group leaves; fewer than 2k left make one last group. With "select" that happens within each expression
    of the round. Pictures of a round or expression with fewer than k people join, in this order: the nearest group
    of their own expression, of any round; a group of k among themselves, if the expression never has a group and the
    round has k such people; the nearest group of all. Nearest means by squared distance to the group's mean.

    Every person has the same weight in the mean of a group, however many of his pictures joined it: at most 1 / k.

    The faces are drawn by a permutation of their positions that depends on the seed alone, not on the keys: all faces
    are released in one call, so there are no batches that it could depend on.

    Outside the region the original remains, and nothing is guaranteed there.

    Attributes:
        k: least number of people per released picture.
        variant: "pixel" groups within a round; "select" within a round and an expression.
        region: whole crop or face ellipse; distances and means are taken inside.
    """

    method: ClassVar[str] = "k_same"
    needs: ClassVar[tuple[str, ...]] = ("expression",)
    of_sets: ClassVar[bool] = True
    k: int = ranged(Integer(2, 50, unit="people"))
    variant: str = ranged(Choice(("pixel", "select")), default="pixel")
    region: str = ranged(REGION, default="crop")

    def needed(self) -> tuple[str, ...]:
        """Return the expression for "select", which groups by it."""
        return self.needs if self.variant == "select" else ()

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Average each group.

        Raises:
            ValueError: if there are fewer than k people.
        """
        group = self.groups(faces, context)
        identity = faces.identity.cpu()
        out = torch.empty_like(faces.images)
        for number in range(int(group.max()) + 1):
            members = torch.nonzero(group == number)[:, 0]
            at = members.to(faces.images.device)
            originals = faces.images[at]
            mean = _mean(originals.flatten(1), identity[members]).round_().to(torch.uint8)
            out[at] = within(self.region, mean.view_as(originals[0]).expand_as(originals), originals)
        return out

    def shared(self, released: Tensor) -> Tensor:
        """Return the group of each face, told by its picture inside the region."""
        inside = released.flatten(2)[:, :, mask(self.region, released.shape[3], released.device).flatten()]
        numbers: dict[bytes, int] = {}
        rows = inside.flatten(1).cpu().numpy()
        return torch.tensor([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows])

    def groups(self, faces: Faces, context: Context) -> Tensor:
        """Assign each face to a group.

        Args:
            faces: all faces that are released together.
            context: its seed decides whom the groups start from.

        Returns:
            (N,) int64 group numbers, without gaps, on the CPU; each group holds at least k different people.

        Raises:
            ValueError: if there are fewer than k people.
        """
        if faces.people < self.k:
            raise ValueError(f"{self!r}: expected at least k = {self.k} people, got {faces.people}; choose a smaller k")
        pixels = faces.images.flatten(2)[:, :, mask(self.region, faces.size, faces.images.device).flatten()].flatten(1)
        identity = faces.identity.cpu()
        label = torch.zeros(len(faces), dtype=torch.int64)
        if self.variant == "select":
            label = faces.signals["expression"][:, 0].cpu().long()
        generator = torch.Generator().manual_seed(context.seed)
        group = torch.full((len(faces),), -1, dtype=torch.int64)
        rounds = _rounds(identity.tolist())

        for members in rounds:
            for value in label[members].unique():
                self._fill(pixels, group, members[label[members] == value], generator)
        for value in label[group < 0].unique():
            own = group[(group >= 0) & (label == value)].unique()
            _join(pixels, identity, group, torch.nonzero((group < 0) & (label == value))[:, 0], own)
        for members in rounds:
            self._fill(pixels, group, members[group[members] < 0], generator)
        _join(pixels, identity, group, torch.nonzero(group < 0)[:, 0], group[group >= 0].unique())
        return group

    def _fill(self, pixels: Tensor, group: Tensor, members: Tensor, generator: torch.Generator) -> None:
        """Split members, one picture per person, into groups of k; leave them alone if they are fewer than k."""
        if len(members) < self.k:
            return
        distance = squared_distances(pixels[members.to(pixels.device)]).cpu()
        free = torch.ones(len(members), dtype=torch.bool)
        for start in torch.randperm(len(members), generator=generator).tolist():
            if not free[start]:
                continue
            left = int(free.sum())
            near = distance[start].masked_fill(~free, torch.inf)
            near[start] = -1  # the face itself comes first, even where another is equal
            taken = near.argsort(stable=True)[: self.k if left >= 2 * self.k else left]
            free[taken] = False
            group[members[taken]] = group.max() + 1


def squared_distances(pixels: Tensor) -> Tensor:
    """Compute the squared Euclidean distances between pictures, exactly.

    Args:
        pixels: (n, P) uint8.

    Returns:
        (n, n) float64 integers, in squared grey levels, with a diagonal of 0, on the device of the pixels.
    """
    product = torch.zeros(len(pixels), len(pixels), dtype=torch.float64, device=pixels.device)
    # 256 products of two uint8 sum to less than 2 ** 24, which float32 holds in any order of summation: the groups
    # are the same on every device.
    for part in pixels.split(256, dim=1):
        part = part.float()
        product += part @ part.T
    square = product.diagonal()
    return square[:, None] + square[None, :] - 2 * product


def _join(pixels: Tensor, identity: Tensor, group: Tensor, members: Tensor, numbers: Tensor) -> None:
    """Let each member join that group among `numbers` whose mean is nearest; without groups, leave them alone."""
    if not len(members) or not len(numbers):
        return
    distance = torch.empty(len(numbers), len(members), dtype=torch.float64)
    for row, number in enumerate(numbers):
        inside = torch.nonzero(group == number)[:, 0]
        mean = _mean(pixels[inside.to(pixels.device)], identity[inside])
        for part in batches(len(members), 64):
            few = pixels[members[part].to(pixels.device)]
            distance[row, part] = (few - mean).square_().sum(1).cpu()
    group[members] = numbers[distance.argmin(0)]


def _mean(pixels: Tensor, identity: Tensor) -> Tensor:
    """Average (n, P) uint8 pictures of the people `identity` (n,): each person's mean first, then over people."""
    _, person, pictures = identity.unique(return_inverse=True, return_counts=True)
    weight = (1 / (len(pictures) * pictures[person].double())).to(pixels.device)
    mean = torch.zeros(pixels.shape[1], dtype=torch.float64, device=pixels.device)
    for part in batches(len(pixels), 64):
        mean += weight[part] @ pixels[part].double()
    return mean


def _rounds(identity: list[int]) -> list[Tensor]:
    """List, for r = 0, 1, …, the positions of every person's r-th picture, each (n,) int64."""
    rounds: list[list[int]] = []
    seen: dict[int, int] = {}
    for position, person in enumerate(identity):
        nth = seen.get(person, 0)
        seen[person] = nth + 1
        if nth == len(rounds):
            rounds.append([])
        rounds[nth].append(position)
    return [torch.tensor(members) for members in rounds]
