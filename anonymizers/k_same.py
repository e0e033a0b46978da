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

from anonymizers.base import Anonymizer, Choice, Context, Integer, ranged
from anonymizers.faces import UNLABELLED, Faces
from anonymizers.regions import REGION, mask, within


@dataclass(frozen=True)
class KSame(Anonymizer):
    """Replace each face by the mean of a group of at least k different people, who all get the same picture.

    k-Same is defined on one picture per person. Sets with several are worked through in rounds: the r-th round holds
    every person's r-th picture. Within a round a face is drawn, its k - 1 nearest by pixel distance join it, and the
    group leaves; the last group takes what is left. Pictures that cannot fill a group of k (a round or an expression
    with too few people) join the nearest group of any round, so that the guarantee holds for all. Outside the region
    the original remains, and nothing is guaranteed there.

    Attributes:
        k: least number of people per released picture.
        variant: "pixel" groups within a round; "select" within a round and an expression, as long as k people show it.
        region: whole crop or face ellipse; distances and means are taken inside.
    """

    method: ClassVar[str] = "k_same"
    k: int = ranged(Integer(2, 50, unit="people"))
    variant: str = ranged(Choice(("pixel", "select")), default="pixel")
    region: str = ranged(REGION, default="crop")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Average each group.

        Raises:
            ValueError: if there are fewer than k people, or "select" gets a face without expression.
        """
        group = self.groups(faces, context).to(faces.images.device)
        out = torch.empty_like(faces.images)
        for number in range(int(group.max()) + 1):
            members = group == number
            mean = faces.images[members].float().mean(0).round_().to(torch.uint8)
            out[members] = within(self.region, mean.expand(int(members.sum()), -1, -1, -1), faces.images[members])
        return out

    def groups(self, faces: Faces, context: Context) -> Tensor:
        """Assign each face to a group.

        Args:
            faces: all faces that are released together.
            context: its seed decides whom the groups start from.

        Returns:
            (N,) int64 group numbers, without gaps, on the CPU; each group holds at least k different people.

        Raises:
            ValueError: if there are fewer than k people, or "select" gets a face without expression.
        """
        if faces.people < self.k:
            raise ValueError(f"{self!r}: expected at least k = {self.k} people, got {faces.people}; choose a smaller k")
        if self.variant == "select" and bool((faces.expression == UNLABELLED).any()):
            raise ValueError(f"{self!r}: expected an expression of every face, some have none; choose variant pixel")
        pixels = faces.images.flatten(2)[:, :, mask(self.region, faces.size, faces.images.device).flatten()]
        pixels = pixels.flatten(1).float().cpu() / 255
        group = torch.full((len(faces),), -1, dtype=torch.int64)
        generator = torch.Generator().manual_seed(context.seed)
        count = 0
        for members in _rounds(faces.identity.tolist()):
            count = self._fill(pixels, group, self._cells(members, faces.expression.tolist()), count, generator)
            left = [i for i in members if group[i] < 0]
            count = self._fill(pixels, group, [left], count, generator)
        self._join(pixels, group, count)
        return group

    def _cells(self, members: list[int], expression: list[int]) -> list[list[int]]:
        """Split a round by expression for "select"; for "pixel" it is one cell."""
        if self.variant == "pixel":
            return [members]
        return [[i for i in members if expression[i] == e] for e in sorted({expression[i] for i in members})]

    def _fill(
        self, pixels: Tensor, group: Tensor, cells: list[list[int]], count: int, generator: torch.Generator
    ) -> int:
        """Form groups of k within each cell that has so many; return the number of groups so far."""
        for cell in cells:
            if len(cell) < self.k:
                continue
            chosen = pixels[cell]
            distance = torch.cdist(chosen, chosen)
            free = torch.ones(len(cell), dtype=torch.bool)
            for start in torch.randperm(len(cell), generator=generator).tolist():
                if not free[start]:
                    continue
                near = distance[start].masked_fill(~free, torch.inf)
                near[start] = -1  # the face itself, even where another is equal
                size = self.k if int(free.sum()) >= 2 * self.k else int(free.sum())
                taken = near.topk(size, largest=False).indices
                free[taken] = False
                group[torch.tensor(cell)[taken]] = count
                count += 1
        return count

    def _join(self, pixels: Tensor, group: Tensor, count: int) -> None:
        """Let every face without a group join the one whose mean is nearest."""
        left = torch.nonzero(group < 0)[:, 0]
        if not len(left):
            return
        means = torch.stack([pixels[group == number].mean(0) for number in range(count)])
        group[left] = torch.cdist(pixels[left], means).argmin(1)


def _rounds(identity: list[int]) -> list[list[int]]:
    """List, for r = 0, 1, …, the positions of every person's r-th picture."""
    rounds: list[list[int]] = []
    seen: dict[int, int] = {}
    for position, person in enumerate(identity):
        nth = seen.get(person, 0)
        seen[person] = nth + 1
        if nth == len(rounds):
            rounds.append([])
        rounds[nth].append(position)
    return rounds
