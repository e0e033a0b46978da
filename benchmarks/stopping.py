"""How sure a stopped trial is: the paired bootstrap against betting confidence sequences, by simulation.

uv run python -m benchmarks.stopping [--runs 1000]

People are drawn, and of each the pictures that an attacker names and a reader reads right, of a candidate and of
finished rivals; what is hard of a person is hard for all of them, as it is in a sweep. A trial is stopped where a rival
is measured to be better in both, and surely so:

* bootstrap: in 95 % of the draws of people, `orchestrator.sweep.racing.decide`;
* betting: a capital that bets against each of the two differences per person passes 1 / 0.05 (Waudby-Smith and Ramdas,
  JRSS-B 2024, https://arxiv.org/abs/2010.09686), people in random order, bets sized for their number.

A stop is false where no rival is better in both in truth. Last, how many people betting needs where they are looked at
one by one, without replacement from so many, as if a stage measured a part of them.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from orchestrator.sweep.racing import Standing, decide

Array = NDArray[np.float64]

PEOPLE = (40, 158)
PICTURES = 5
REPLICATES = 1_000
"""Of the bootstrap; the program takes 2,000."""
ALPHA = 0.05
SPREAD = 0.25
"""Deviation of what is hard of a person, the same for every configuration, on the scale of a rate."""
MOST = 0.75
"""Share of the capital that is bet at most."""
FRONT = tuple((risk, 1 - (1 - risk) ** 2) for risk in np.linspace(0.1, 0.9, 9))
"""True risk and utility of finished trials, none of which dominates another."""
CASES: dict[str, tuple[tuple[float, float], tuple[tuple[float, float], ...]]] = {
    "the same as its only rival": ((0.5, 0.5), ((0.5, 0.5),)),
    "as private, 0.2 less readable": ((0.5, 0.3), ((0.5, 0.5),)),
    "0.02 more private, 0.2 less readable": ((0.48, 0.3), ((0.5, 0.5),)),
    "on a front of nine, between two": ((0.55, 1 - 0.45**2), FRONT),
    "at the place of one of nine": (FRONT[4], FRONT),
    "dominated by 0.05 and 0.05": ((0.55, 0.45), ((0.5, 0.5),)),
    "dominated by 0.1 and 0.1": ((0.6, 0.4), ((0.5, 0.5),)),
    "dominated by 0.2 and 0.2": ((0.7, 0.3), ((0.5, 0.5),)),
    "behind a front of nine by 0.1 and 0.1": ((0.6, 0.65), FRONT),
}
"""Name -> the candidate's true risk and utility, and its rivals'."""


def dominated(candidate: tuple[float, float], rivals: tuple[tuple[float, float], ...]) -> bool:
    """Tell whether a rival is better in both in truth."""
    return any(risk < candidate[0] and utility > candidate[1] for risk, utility in rivals)


def drawn(rate: float, hard: Array, chance: np.random.Generator) -> Array:
    """Draw the (P,) shares of each person's pictures that count, at a mean rate, given what is hard of a person."""
    own = np.clip(rate + hard * 2 * min(rate, 1 - rate), 0, 1)
    return chance.binomial(PICTURES, own) / PICTURES


def bets_win(difference: Array, alpha: float = ALPHA) -> bool:
    """Tell whether a capital that bets on a mean above 0 of (P,) differences in [-1, 1] ever passes 1 / alpha."""
    return first_win(difference, 0.0, alpha) is not None


def first_win(difference: Array, finite: float, alpha: float = ALPHA) -> int | None:
    """Return after how many people the capital passes 1 / alpha; None if it never does.

    Args:
        difference: (P,) in [-1, 1], in the order in which people are looked at.
        finite: 1 where these are all people that there are, drawn without replacement; 0 where they stand for others.
        alpha: of the test.
    """
    count, capital, total, squares = len(difference), 1.0, 0.0, 1.0
    for n, value in enumerate(difference):
        # The mean of those who are left, if that of all is 0.
        null = -total / (count - n) if finite else 0.0
        if null <= -1:
            return n
        variance = squares / (n + 1)
        size = np.sqrt(2 * np.log(1 / alpha) / (variance * count))
        capital *= 1 + min(size, MOST / (1 + null)) * (value - null)
        if capital >= 1 / alpha:
            return n + 1
        total += value
        squares += (value - total / (n + 1)) ** 2
    return None


def stops(risk: Array, utility: Array, times: Array, chance: np.random.Generator) -> tuple[bool, bool]:
    """Tell whether bootstrap and betting stop a candidate.

    Args:
        risk, utility: (1 + rivals, P), the candidate's first.
        times: (R, P), how often each person is drawn.
        chance: orders the people.
    """
    standings = [
        Standing(n, np.array([r.mean(), -u.mean()]), np.stack([times @ r, -(times @ u)]).astype(np.float16))
        for n, (r, u) in enumerate(zip(risk, utility, strict=True))
    ]
    order = chance.permutation(risk.shape[1])
    betting = any(
        bets_win((risk[0] - risk[n])[order]) and bets_win((utility[n] - utility[0])[order])
        for n in range(1, len(risk))
        if risk[n].mean() < risk[0].mean() and utility[n].mean() > utility[0].mean()
    )
    return decide("readers", standings[0], standings[1:]) is not None, betting


def rates(people: int, case: str, runs: int) -> tuple[float, float]:
    """Return how often bootstrap and betting stop the candidate of a case."""
    chance = np.random.default_rng(0)
    candidate, rivals = CASES[case]
    times = chance.multinomial(people, np.full(people, 1 / people), size=REPLICATES) / people
    found = []
    for _ in range(runs):
        hard = chance.normal(0, SPREAD, (2, people))
        each = np.array([[drawn(rate, hard[m], chance) for m, rate in enumerate(one)] for one in (candidate, *rivals)])
        found.append(stops(each[:, 0], each[:, 1], times, chance))
    bootstrap, betting = np.mean(found, 0)
    return float(bootstrap), float(betting)


def people_needed(difference: float, people: int, runs: int) -> float:
    """Return the median number of people after which betting sees a difference, of so many without replacement."""
    chance = np.random.default_rng(1)
    needed = []
    for _ in range(runs):
        hard = chance.normal(0, SPREAD, people)
        paired = drawn(0.5 + difference / 2, hard, chance) - drawn(0.5 - difference / 2, hard, chance)
        needed.append(first_win(chance.permutation(paired), 1.0) or people)
    return float(np.median(needed))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000, help="simulated decisions of each case")
    runs = parser.parse_args().runs
    print(f"share of {runs} candidates that are stopped, {PICTURES} pictures of each person")
    print(f"{'':42s}" + "".join(f"{people} people: bootstrap, betting   " for people in PEOPLE))
    for case, (candidate, rivals) in CASES.items():
        kind = "right" if dominated(candidate, rivals) else "false"
        found = [rates(people, case, runs) for people in PEOPLE]
        print(
            f"{case:36s} {kind:5s}" + "".join(f"{boot:20.3f} {bet:9.3f}     " for boot, bet in found),
            flush=True,
        )
    for people in PEOPLE:
        needed = ", ".join(f"{d:.2f} after {people_needed(d, people, 200):.0f}" for d in (0.1, 0.2, 0.4))
        print(f"people one by one, of {people}: betting sees a difference of {needed}")


if __name__ == "__main__":
    main()
