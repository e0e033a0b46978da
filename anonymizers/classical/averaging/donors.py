"""Donors: a face made of other people alone, who happen to look that way and to make that face.

Of the background people those are taken whose nearest picture is nearest to the probe in expression and pose; their
pictures are moved to one shape and averaged. Built on Newton, Sweeney and Malin, IEEE TKDE 2005
(https://doi.org/10.1109/TKDE.2005.32), whose k-Same averages the faces that are released themselves; Gross, Sweeney, de
la Torre and Baker, Model-based face de-identification, CVPR Workshops 2006 (k-Same-M), who align them by a shape first;
Meng, Sun, Ariyaeeinia and Bennett, Retaining expressions on de-identified faces, MIPRO 2014, who bring expressions back
onto averaged faces; and Huang and De la Torre, Facial action transfer, ECCV 2012
(http://andrew.cmu.edu/user/dghuang/fat.html), who learn by regression how a face looks when its parts have moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anonymizers.base import Anonymizer, Context, batches, of_face
from anonymizers.classical.averaging.bank import CODE, LANDMARKS, Bank, bank_of
from anonymizers.classical.averaging.warping import locate, warp
from anonymizers.classical.regions import REGION, blended
from anonymizers.faces import Faces
from anonymizers.ranges import Choice, Integer, Real, ranged

BATCH = 16
"""Faces worked on at a time, at most."""
ROUNDS, STEP = 4, 0.5
"""How often donors are looked for anew, and how much farther by what their mean lacks."""


@dataclass(frozen=True)
class Donors(Anonymizer):
    """Release the average of k background people who have the expression and pose of the face.

    No pixel and no landmark of the face enters: it reaches the picture through its code alone, which chooses the
    donors and their shape. Two faces with the same code get the same picture. Outside the region the original remains,
    and nothing is promised there.

    Attributes:
        k: donors, different people.
        match: "each" donor is to be near the face, or their "mean": they are then looked for beyond the face, as far as
            the mean of those that were found fell short of it, since there are fewer people beyond than within.
        shape: "donors", the mean of their landmarks; "model", what a linear model of the background gives the code;
            "moved", the donors' landmarks and their average too, by what linear models of the background say of the
            difference that is left between their mean code and the face's, which keeps what averages flatten.
        axes: principal axes of the background's expressions that are left of the code, all where there are fewer. What
            faces make of an expression lies along the first, and who makes it shows along the last ones too.
        noise: normal noise on the code, in its deviations over the background, for those who fear that it tells a
            person.
        pose: weight of the pose where donors are chosen; of the expression it is 1.
        tone: "mean", of the donors; "drawn", that of one of them, color and contrast, drawn anew for other donors.
        region: whole crop or face ellipse, with a soft border.
    """

    method: ClassVar[str] = "donors"
    needs: ClassVar[tuple[str, ...]] = CODE
    background_needs: ClassVar[tuple[str, ...]] = (*CODE, LANDMARKS)
    k: int = ranged(Integer(2, 100, unit="people", log=True), default=20)
    match: str = ranged(Choice(("each", "mean")), default="mean")
    shape: str = ranged(Choice(("donors", "model", "moved")), default="moved")
    axes: int = ranged(Integer(2, 52, log=True), default=52)
    noise: float = ranged(Real(0.0, 2.0, unit="deviations"), default=0.0)
    pose: float = ranged(Real(0.0, 4.0), default=1.0)
    tone: str = ranged(Choice(("mean", "drawn")), default="mean")
    region: str = ranged(REGION, default="crop")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Choose, average, move.

        Raises:
            ValueError: if the background has fewer than k people, or pictures of another size.
        """
        bank = self.bank(faces, context)
        codes = self.codes(bank, faces, context)
        out = torch.empty_like(faces.images)
        for part in batches(len(faces), min(BATCH, context.batch_size)):
            donors = self._chosen(bank, codes[part])
            average = torch.stack([self._average(bank, few, context.seed) for few in donors])
            lacking = codes[part] - bank.codes[donors].mean(1)
            points = bank.modelled(codes[part]) if self.shape == "model" else bank.points[donors].mean(1)
            if self.shape == "moved":
                points = points + bank.modelled(lacking) - bank.mean
                average = average + bank.looks(lacking)
            shape = locate(points, bank.triangles, faces.size)
            released = warp(average, bank.mean.expand(len(average), -1, -1), shape)
            out[part] = blended(self.region, released, faces.images[part])
        return out

    def codes(self, bank: Bank, faces: Faces, context: Context) -> Tensor:
        """Return all that is known of the faces, (N, D + 3) standardized codes: few axes of them, noise on them."""
        codes = bank.standardized(*(faces.signals[name].float() for name in CODE))
        codes = bank.simplified(codes, self.axes)
        if self.noise:
            drawn = [torch.randn(codes.shape[1], generator=of_face(key, context.seed, "donors")) for key in faces.key]
            codes = codes + self.noise * torch.stack(drawn).to(codes)
        return codes

    def _chosen(self, bank: Bank, codes: Tensor) -> Tensor:
        """Return the (n, k) donors of (n, D + 3) codes."""
        aim = codes
        donors = bank.nearest(aim, self.k, self.pose)
        for _ in range(ROUNDS if self.match == "mean" else 0):
            aim = aim + STEP * (codes - bank.codes[donors].mean(1))
            donors = bank.nearest(aim, self.k, self.pose)
        return donors

    def bank(self, faces: Faces, context: Context) -> Bank:
        """Return the background as it was measured.

        Raises:
            ValueError: if it has fewer than k people, or pictures of another size.
        """
        background = context.background
        bank = bank_of(background) if background is not None and len(background) else None
        if bank is None or bank.people < self.k:
            raise ValueError(
                f"{self!r}: expected at least k = {self.k} people in the background, with a mesh, got "
                f"{0 if bank is None else bank.people}; choose a smaller k or give more people"
            )
        if bank.pictures.shape[-1] != faces.size:
            raise ValueError(
                f"{self!r}: expected a background of {faces.size} px crops as the faces are, got "
                f"{bank.pictures.shape[-1]}"
            )
        return bank

    def _average(self, bank: Bank, donors: Tensor, seed: int) -> Tensor:
        """Return the (3, S, S) float32 mean of the (k,) donors' pictures, in the mean shape."""
        mean = bank.pictures[donors].float().mean(0)
        if self.tone == "mean":
            return mean
        names = ",".join(map(str, sorted(donors.tolist())))
        one = int(torch.randint(self.k, (), generator=of_face(names, seed, "tone")))
        tone = bank.pictures[donors.sort().values[one]].float()
        spread = tone.std((1, 2), keepdim=True) / mean.std((1, 2), keepdim=True).clamp_min(1.0)
        return (mean - mean.mean((1, 2), keepdim=True)) * spread + tone.mean((1, 2), keepdim=True)
