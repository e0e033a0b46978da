"""How often a 95 % interval covers the truth, by simulation: rates, means, and the rate of the strongest attacker.

uv run python -m benchmarks.coverage [--draws 2000]

People are drawn, and pictures of them that depend on the person: a person's own rate follows a beta distribution with
the given correlation between two pictures; a mean has a normal person's effect. The strongest of three attackers is the
one with the largest true rate; all three see the same people. k-Same releases one picture to several people: faces are
drawn, grouped by the method itself, and what is read of a group's mean is compared with each face's own expression.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonymizers import Context, Faces, KSame
from evaluators.measuring.tally import Tally
from evaluators.metrics import statistics
from evaluators.metrics.kept import Measured, share_kept, smallest_share

PEOPLE = (20, 60, 158, 500)
PICTURES = (1, 2, 5, 10)
CORRELATIONS = (0.0, 0.1, 0.3, 0.7)
RATES = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
CLASSES = 7
KAPPAS = (0.05, 0.2, 0.5, 0.8, 0.95)
KEPT = ((0.1, 0.6), (0.5, 0.7), (0.8, 0.8), (0.95, 0.99), (0.99, 0.99), (1.0, 1.0))
GROUPS = tuple(
    (KSame(k=k, variant=v), own)
    for k, v, own in (
        (5, "select", 0.3),
        (10, "select", 0.3),
        (20, "select", 0.3),
        (10, "select", 0.0),
        (10, "select", 0.7),
        (10, "pixel", 0.3),
    )
)
"""The method, and the share of a face's variance that is the person's."""
SIDE = 6
"""Of the simulated pictures, px."""
REPLICATES = 500
"""Of the bootstrap; the program takes 2,000."""


def rates(
    rate: float, people: int, pictures: int, correlation: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw (people, pictures) of 0 and 1."""
    own: NDArray[np.float64] | float = rate
    if correlation:
        narrow = (1 - correlation) / correlation
        own = generator.beta(rate * narrow, (1 - rate) * narrow, (people, 1))
    return (generator.random((people, pictures)) < own).astype(np.float64)


def coverage(interval: Callable[[], tuple[float, float]], truth: float, draws: int) -> float:
    """Return the share of intervals that hold the truth."""
    ends = [interval() for _ in range(draws)]
    return sum(low <= truth <= high for low, high in ends) / draws


def rate_coverage(rate: float, people: int, pictures: int, correlation: float, draws: int, seed: int = 0) -> float:
    """Return the coverage of the adjusted Wilson interval."""
    generator = np.random.default_rng(seed)
    person = torch.arange(people).repeat_interleave(pictures)

    def interval() -> tuple[float, float]:
        drawn = rates(rate, people, pictures, correlation, generator)
        return statistics.wilson_interval(torch.from_numpy(drawn.ravel()), person)

    return coverage(interval, rate, draws)


def tally_of(people: int, pictures: int, seed: int) -> Tally:
    """Make what gathers the figures of a configuration."""
    person = torch.arange(people).repeat_interleave(pictures)
    return Tally(person, statistics.person_draws(people, REPLICATES, seed), ())


def mean_coverage(people: int, pictures: int, correlation: float, draws: int, seed: int = 0) -> float:
    """Return the coverage of the bootstrap interval of a mean."""
    generator = np.random.default_rng(seed)
    tally = tally_of(people, pictures, seed)

    def interval() -> tuple[float, float]:
        effect = generator.normal(0, correlation**0.5, (people, 1))
        drawn = effect + generator.normal(0, (1 - correlation) ** 0.5, (people, pictures))
        tally.mean("mse", torch.from_numpy(drawn.ravel()))
        return tally.intervals["mse"]

    return coverage(interval, 0.0, draws)


def worst_coverage(three: tuple[float, float, float], people: int, pictures: int, draws: int, seed: int = 0) -> float:
    """Return the coverage of the interval of the strongest attacker's rate; all three see the same people."""
    generator = np.random.default_rng(seed)
    tally = tally_of(people, pictures, seed)
    thresholds = [float(np.quantile(NORMAL, 1 - rate)) for rate in three]

    def interval() -> tuple[float, float]:
        easy = generator.normal(0, 0.5, (people, 1)) + generator.normal(0, 0.5**0.5, (people, pictures))
        credits: dict[str, Tensor] = {}
        for name, threshold in zip(("rank1_fixed", "rank1_parrot", "rank1_mapped"), thresholds, strict=True):
            seen = easy + generator.normal(0, 0.5, (people, pictures))
            credits[name] = torch.from_numpy((seen > threshold).astype(np.float64).ravel())
            tally.rate(name, credits[name])
        tally.largest("rank1_worst", credits)
        return tally.intervals["rank1_worst"]

    return coverage(interval, max(three), draws)


def kappa_coverage(kappa: float, people: int, pictures: int, draws: int, seed: int = 0) -> float:
    """Return the coverage of the bootstrap interval of Cohen's kappa.

    Seven balanced classes; an answer is right with the probability that this kappa asks, else one of the others, and a
    person's pictures share half of the luck.
    """
    generator = np.random.default_rng(seed)
    tally = tally_of(people, pictures, seed)
    right = kappa + (1 - kappa) / CLASSES
    threshold = float(np.quantile(NORMAL, 1 - right))

    def interval() -> tuple[float, float]:
        truth = generator.integers(0, CLASSES, people * pictures)
        luck = generator.normal(0, 0.5**0.5, (people, 1)) + generator.normal(0, 0.5**0.5, (people, pictures))
        other = (truth + generator.integers(1, CLASSES, truth.shape)) % CLASSES
        answer = np.where(luck.ravel() > threshold, truth, other)
        tally.kappa("expression_kappa", torch.from_numpy(truth), torch.from_numpy(answer), CLASSES)
        return tally.intervals["expression_kappa"]

    return coverage(interval, kappa, draws)


def kept_coverage(kept: tuple[float, float], people: int, pictures: int, draws: int, seed: int = 0) -> float:
    """Return the coverage of the interval of the smallest share that two judges' readers keep of their clear kappa.

    The clear readers reach kappas of 0.8 and 0.6; what is read of a clear and of an anonymized picture shares luck.
    """
    generator = np.random.default_rng(seed)
    tally = tally_of(people, pictures, seed)
    clear = (0.8, 0.6)

    def measured(truth: NDArray[np.int64], luck: NDArray[np.float64], kappa: float) -> Measured:
        threshold = float(np.quantile(NORMAL, 1 - (kappa + (1 - kappa) / CLASSES)))
        other = (truth + generator.integers(1, CLASSES, truth.shape)) % CLASSES
        answer = np.where(luck > threshold, truth, other)
        return tally.agreed(torch.from_numpy(truth), torch.from_numpy(answer), CLASSES)

    def interval() -> tuple[float, float]:
        shares = []
        own = generator.normal(0, 0.25**0.5, (people, 1))
        for reached, share in zip(clear, kept, strict=True):
            truth = generator.integers(0, CLASSES, people * pictures)
            common = own + generator.normal(0, 0.5, (people, pictures))
            before, after = ((common + generator.normal(0, 0.5**0.5, (people, pictures))).ravel() for _ in range(2))
            pair = measured(truth, after, reached * share), measured(truth, before, reached)
            shares.append(share_kept([pair], tally.interval, tally.wilson))
        return smallest_share(shares, tally.interval).interval

    return coverage(interval, min(1.0, *kept), draws)


def grouped(
    method: KSame, own: float, people: int, pictures: int, generator: np.random.Generator
) -> tuple[Tensor, ...]:
    """Draw people, and let k-Same group their faces.

    A face's first pixels say its expression; a released picture is read from these and, wrongly, from all the others.

    Args:
        method: k and variant.
        own: share of a face's variance that is the person's.
        people: how many are drawn.
        pictures: of each.
        generator: of the faces.

    Returns:
        (N,) int64: person, expression of the face, expression read of the released picture, and which picture that is.
    """
    shape = (people, pictures, 3 * SIDE * SIDE)
    drawn = own**0.5 * generator.normal(size=(people, 1, shape[2])) + (1 - own) ** 0.5 * generator.normal(size=shape)
    person = torch.arange(people).repeat_interleave(pictures)
    pixels = torch.from_numpy(drawn).reshape(-1, 3, SIDE, SIDE) * 40 + 128
    images = pixels.round().clamp(0, 255).to(torch.uint8)
    truth = _told(images).argmax(1)
    signals = {"expression": truth.to(torch.uint8)[:, None]}
    faces = Faces(images, person, torch.full_like(person, -1), tuple(map(str, range(len(person)))), signals)
    released = method(faces, Context(seed=int(generator.integers(1 << 30))))
    rest = released.double().flatten(1)[:, 4 * CLASSES :] - 128
    misled = rest @ MISLEADING / rest.norm(dim=1, keepdim=True)
    told = _told(released)
    answer = (told / told.std() + misled).argmax(1)
    return person, truth, answer, method.shared(released)


def _told(images: Tensor) -> Tensor:
    """Read (N, CLASSES) scores of expressions from the first pixels of faces."""
    return images.double().flatten(1)[:, : 4 * CLASSES].view(-1, CLASSES, 4).mean(2) - 128


def grouped_coverage(
    method: KSame, own: float, people: int, pictures: int, draws: int, seed: int = 0, *, alone: bool = False
) -> tuple[float, float]:
    """Return the coverage of the intervals of kappa and of the agreement where k-Same releases a picture to several.

    The truth is the mean over all draws of people.

    Args:
        method, own, people, pictures: as in `grouped`.
        draws: of people.
        seed: of the draws.
        alone: whether people alone are the unit, as if nobody shared a picture.
    """
    generator = np.random.default_rng(seed)
    weights = statistics.person_draws(people, REPLICATES, seed)
    found: dict[str, list[tuple[float, tuple[float, float]]]] = {"expression_kappa": [], "expression_agreement": []}
    for _ in range(draws):
        person, truth, answer, released = grouped(method, own, people, pictures, generator)
        tally = Tally(person, weights, (), None if alone else released)
        tally.kappa("expression_kappa", truth, answer, CLASSES)
        tally.rate("expression_agreement", (truth == answer).double())
        for name, told in found.items():
            value = tally.values[name]
            assert value is not None
            told.append((value, tally.intervals[name]))
    covered = []
    for told in found.values():
        mean = float(np.mean([value for value, _ in told]))
        covered.append(sum(low <= mean <= high for _, (low, high) in told) / draws)
    return covered[0], covered[1]


MISLEADING = torch.from_numpy(np.random.default_rng(2).normal(size=(3 * SIDE * SIDE - 4 * CLASSES, CLASSES)))
"""How the pixels that say nothing of the expression move its reading."""
NORMAL = np.random.default_rng(1).normal(0, 1, 1_000_000)
"""Variance of what an attacker sees: 0.25 + 0.5 + 0.25."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    print(f"| people | pictures | correlation | {' | '.join(f'rate {rate}' for rate in RATES)} | mean |")
    print(f"|{'---|' * (4 + len(RATES))}")
    for people in PEOPLE:
        for pictures in PICTURES:
            for correlation in CORRELATIONS if pictures > 1 else CORRELATIONS[:1]:
                cells = [rate_coverage(rate, people, pictures, correlation, draws) for rate in RATES]
                cells.append(mean_coverage(people, pictures, correlation, draws))
                line = " | ".join(f"{cell:.3f}" for cell in cells)
                print(f"| {people} | {pictures} | {correlation} | {line} |", flush=True)
    for three in ((0.02, 0.2, 0.6), (0.2, 0.35, 0.37), (0.3, 0.3, 0.3), (0.01, 0.01, 0.02)):
        cells = [worst_coverage(three, people, 5, draws) for people in PEOPLE]
        print(f"strongest of {three}, 5 pictures, people {PEOPLE}: {', '.join(f'{cell:.3f}' for cell in cells)}")

    for people in PEOPLE:
        cells = [f"{kappa}: {kappa_coverage(kappa, people, 5, draws):.3f}" for kappa in KAPPAS]
        print(f"kappa, {people} people, 5 pictures: {', '.join(cells)}", flush=True)
    for people in PEOPLE[1:]:
        cells = [f"{kept}: {kept_coverage(kept, people, 5, draws):.3f}" for kept in KEPT]
        print(f"expression_kept of two judges, {people} people, 5 pictures: {', '.join(cells)}", flush=True)
    for method, own in GROUPS:
        for alone in (True, False):
            told = "people alone" if alone else "people and released pictures"
            kappa, rate = grouped_coverage(method, own, 158, 5, draws // 4, alone=alone)
            print(
                f"{method!r}, {own} of a face the person's, {told}: kappa {kappa:.3f}, agreement {rate:.3f}", flush=True
            )


if __name__ == "__main__":
    main()
