"""By person: what each person adds to the figures of a configuration, and the replicates that follow from that.

What is kept of a configuration, by name:

* of every attacker `rank1_NAME` and `rank1_NAME_fused`, and of objectives that are means: the sums over each person's
  pictures, (P,);
* of every judge who answers with a class and every reader `expression_kappa_JUDGE_READER`: what the reader says of each
  probe, (N,);
* of every judge who describes by coefficients `expression_r2_JUDGE_READER`: the sums of the reader's squared errors,
  (P,), in units of what the judge's own squares come to for a person on average.

Who is on the probes and what judges say of the clear faces is the same for all configurations: the `Population`. With
the draws of people, which are the same too, every figure over people follows, for any of the attackers.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluators.metrics import expression, statistics
from evaluators.metrics.scores import FUSED, People, Stretch

KAPPA, R2, KEPT, WORST = "expression_kappa", "expression_r2_", "expression_kept", "rank1_worst"


def compact(sums: Tensor) -> NDArray[Any]:
    """Return (P,) sums as uint8 where they are such numbers, as those of right answers, else as float32."""
    if bool(((sums == sums.round()) & (sums >= 0) & (sums <= 255)).all()):
        return sums.numpy().astype(np.uint8)
    return sums.numpy().astype(np.float32)


def halved(sums: Tensor) -> NDArray[Any]:
    """Return (P,) sums as float16, which keep three digits, or as float32 where they are beyond these."""
    return sums.numpy().astype(np.float16 if float(sums.abs().max()) <= 65_504 else np.float32)


@dataclass(frozen=True, eq=False)
class Population:
    """Hold who was measured, and what judges say of their clear faces.

    Attributes:
        count: P.
        person: (N,) int64 in [0, P), who is on each probe.
        seed: of the draws of people.
        replicates: R.
        truth: judge -> (N,) int64 answers, or (P,) float64 sums of the squares of his coefficients.
        judged: metric that is a kappa -> whose answers are right.
        clear: what readers make of the clear faces, of which shares are kept.
        admitted: judges of whom `expression_kept` is the least.
    """

    count: int
    person: Tensor
    seed: int
    replicates: int
    truth: Mapping[str, Tensor]
    judged: Mapping[str, str]
    clear: People
    admitted: tuple[str, ...]

    @functools.cached_property
    def pictures(self) -> Tensor:
        """Return (P,) float64, how many probes there are of each person."""
        return torch.bincount(self.person, minlength=self.count).double()

    @functools.cached_property
    def draws(self) -> Tensor:
        """Return (R, P) float64, how often each person is drawn."""
        return statistics.person_draws(self.count, self.replicates, self.seed)

    def replicates_of(
        self, name: str, people: People, values: Mapping[str, Any], attackers: Collection[str] | None = None
    ) -> Tensor | None:
        """Compute the replicates of a figure of a configuration.

        Args:
            name: of a metric.
            people: of the configuration.
            values: its metrics.
            attackers: who counts in `rank1_worst` and its fused kind; None for all who were met.

        Returns:
            (R,) float64; None where they do not follow from what was kept.
        """
        if name in (WORST, WORST + FUSED):
            end = name.removeprefix(WORST)
            met = [one for one in people.attackers(fused=bool(end)) if attackers is None or one in attackers]
            found = [self._own(f"rank1_{one}{end}", people) for one in met]
            return torch.stack(found).amax(0) if found else None
        if name == "advantage":
            worst, chance = self.replicates_of(WORST, people, values), values.get("chance_rank1_measured")
            return None if worst is None or chance is None else (worst - chance) / (1 - chance)
        if name == KEPT or name.startswith(f"{KEPT}_"):
            judges = self.admitted if name == KEPT else (name.removeprefix(f"{KEPT}_"),)
            shares = [self._kept(judge, people) for judge in judges]
            if not shares or values.get(name) is None or any(share is None for share in shares):
                return None
            least = torch.stack([share for share in shares if share is not None]).amin(0)
            return least.clamp_max(1.0) if name == KEPT else least
        return self._own(name, people) if name in people.sums and (name in self.judged or KAPPA not in name) else None

    def _own(self, name: str, people: People) -> Tensor:
        """Compute the replicates of what was kept itself."""
        kept = torch.from_numpy(people.sums[name])
        if name in self.judged:
            found = self._kappa(kept.long(), self.judged[name])
        elif name.startswith(R2):
            found = 1 - self._drawn(kept) / self._truth[_judge(name)]
        else:
            found = self._drawn(kept) / (self._present if name.endswith(FUSED) else self._total)
        if name not in people.stretched:
            return found
        stretch, low, high = people.stretched[name]
        return statistics.stretched(found, stretch).clamp(low, high)

    def _kappa(self, answer: Tensor, judge: str) -> Tensor:
        """Compute kappa in every draw, from the counts of equal answers and of each answer: no table is drawn."""
        truth = self._truth[judge]
        right = self.truth[judge]
        equal = statistics.sums_by((right == answer).double(), self.person, self.count)
        said = self._counts(answer, max(truth.shape[1], int(answer.max()) + 1))[:, : truth.shape[1]]
        counted = self._drawn(torch.column_stack((equal, said)).int())
        expected = (truth * counted[:, 1:]).sum(1) / self._total.square()
        return expression.beyond_chance(counted[:, 0] / self._total, expected)

    def _drawn(self, sums: Tensor) -> Tensor:
        """Add (P, …) sums up in every draw, (R, …) float64; whole ones in single precision, which is exact for them."""
        if sums.is_floating_point():
            return self.draws @ sums.double()
        return (self._single @ sums.float()).double()

    @functools.cached_property
    def _single(self) -> Tensor:
        return self.draws.float()

    @functools.cached_property
    def _total(self) -> Tensor:
        return self._drawn(self.pictures)

    @functools.cached_property
    def _present(self) -> Tensor:
        return self._drawn((self.pictures > 0).double())

    @functools.cached_property
    def _truth(self) -> dict[str, Tensor]:
        """Return of every judge the (R, C) counts of his answers, or the (R,) sums of his squares."""
        return {
            judge: self._drawn(said if said.is_floating_point() else self._counts(said, int(said.max()) + 1))
            for judge, said in self.truth.items()
        }

    def _counts(self, answer: Tensor, classes: int) -> Tensor:
        """Count the (N,) answers of each class per person, (P, C) float64."""
        cells = torch.bincount(self.person * classes + answer, minlength=self.count * classes)
        return cells.double().view(-1, classes)

    def _kept(self, judge: str, people: People) -> Tensor | None:
        """Compute the smallest share that a reader keeps of what he reads of clear faces, in every draw."""
        names = [name for name in self.clear.sums if _judge(name) == judge]
        if not names or any(name not in people.sums for name in names):
            return None
        return torch.stack([self._own(name, people) / self._clear[name] for name in names]).amin(0)

    @functools.cached_property
    def _clear(self) -> dict[str, Tensor]:
        return {name: self._own(name, self.clear) for name in self.clear.sums}

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "count": self.count,
            "person": self.person.tolist(),
            "seed": self.seed,
            "replicates": self.replicates,
            "truth": {judge: said.tolist() for judge, said in self.truth.items()},
            "judged": dict(self.judged),
            "clear": {name: array.tolist() for name, array in self.clear.sums.items()},
            "clear_stretched": {name: list(stretch) for name, stretch in self.clear.stretched.items()},
            "admitted": list(self.admitted),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Population:
        """Make it again of what `plain` returned."""
        clear = {
            name: np.array(said, np.float64 if name.startswith(R2) else np.uint8)
            for name, said in plain["clear"].items()
        }
        stretched = {name: stretch_of(stretch) for name, stretch in plain["clear_stretched"].items()}
        return cls(
            plain["count"],
            torch.tensor(plain["person"]),
            plain["seed"],
            plain["replicates"],
            {judge: torch.from_numpy(np.array(said)) for judge, said in plain["truth"].items()},
            plain["judged"],
            People(clear, stretched),
            tuple(plain["admitted"]),
        )


def stretch_of(plain: Sequence[float | None]) -> Stretch:
    """Return factor and ends of what JSON holds of them."""
    factor, low, high = plain
    assert factor is not None
    return factor, low, high


def _judge(name: str) -> str:
    """Return the judge of `expression_kappa_JUDGE_READER` and its like."""
    return name.removeprefix(R2).removeprefix(f"{KAPPA}_").rpartition("_")[0]
