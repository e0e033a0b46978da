"""Design: which pictures a study shows to whom, balanced over configurations, faces and answers.

Every participant sees every face once in each task, every configuration equally often, and as many same as different
pairs of each. Which face comes under which configuration rotates with the participant's number (a Latin square:
Bradley, J. Am. Stat. Assoc. 1958), so that over a round of participants every face is seen under every configuration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.records.front import eligible, front_rows
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, name_of

EXPRESSION, PAIR = "expression", "pair"
TASKS = (EXPRESSION, PAIR)
SAME, DIFFERENT = "same", "different"
PAIR_ANSWERS = (SAME, DIFFERENT)
ENDS = ("identity", "blackout")
"""Anchors of a study: the two ends of what people can see."""
ID_LETTERS = 6

Items = dict[str, dict[str, Any]]


def chosen_rows(rows: Sequence[Row], objectives: Mapping[str, str], trials: Sequence[int], most: int) -> list[Row]:
    """Choose the configurations of a study: those that were named, or the front, evenly, between the two anchors.

    Args:
        rows: flat rows of the trials table.
        objectives: metric name -> "min" or "max".
        trials: their numbers; () for anchors and front.
        most: configurations, anchors among them, where none are named.

    Raises:
        ValueError: if a trial is not complete, or fewer than two configurations remain.
    """
    known = {row["trial"]: row for row in rows if eligible(row, objectives)}
    if other := [trial for trial in trials if trial not in known]:
        raise ValueError(f"--trial: expected complete trials of this sweep, got {other}; trials.parquet lists them")
    if trials:
        chosen = [known[trial] for trial in dict.fromkeys(trials)]
    else:
        anchors = [next((row for row in known.values() if row["method"] == method), None) for method in ENDS]
        ends = [row for row in anchors if row is not None]
        front = [row for row in front_rows(rows, objectives) if row["method"] not in ANCHORS]
        room = max(0, most - len(ends))
        places = np.unique(np.linspace(0, len(front) - 1, min(room, len(front))).round().astype(int))
        chosen = [*ends, *(front[place] for place in places)]
    if len(chosen) < 2:
        raise ValueError(
            f"--trial: expected at least two configurations to ask about, got {len(chosen)}; name more, or more of "
            "--configurations"
        )
    return chosen


@dataclass(frozen=True)
class Subject:
    """State a face of a study, and the clear pictures that it stands beside.

    Attributes:
        probe: its place among the probes, which are anonymized.
        truth: name of its expression.
        own, foil: places in the gallery of a clear picture of the same person, and of another one.
    """

    probe: int
    truth: str
    own: int
    foil: int


def drawn_subjects(
    truth: Sequence[str | None], probe_person: Sequence[int], gallery_person: Sequence[int], count: int, seed: int
) -> list[Subject]:
    """Draw faces of different people, as many of each expression as there are, sorted by expression.

    Args:
        truth: of each probe the name of its expression; None for one that is not asked about.
        probe_person: of each probe its person.
        gallery_person: of each clear picture of the gallery its person.
        count: faces.
        seed: of the draw.

    Returns:
        `count` of them, or as many as there are people with a truth. The foil of each is the own picture of another
        one, so that every clear picture stands equally often beside its person and beside somebody else.

    Raises:
        ValueError: if there are fewer than two.
    """
    rng = np.random.default_rng(seed)
    left: dict[str, list[int]] = {}
    for place in rng.permutation(len(truth)).tolist():
        if (named := truth[place]) is not None:
            left.setdefault(named, []).append(place)
    taken: list[int] = []
    people: set[int] = set()
    while len(taken) < count and left:
        # The rarest expression first, since its people may be drawn for another.
        for named in sorted(left, key=lambda one: len(left[one])):
            free = [place for place in left[named] if probe_person[place] not in people]
            if not free:
                del left[named]
            elif len(taken) < count:
                left[named] = free[1:]
                taken.append(free[0])
                people.add(probe_person[free[0]])
    if len(taken) < 2:
        raise ValueError(f"study: expected faces of at least two people whose expression is known, got {len(taken)}")
    own = {place: int(rng.choice(np.flatnonzero(np.asarray(gallery_person) == probe_person[place]))) for place in taken}
    ring = [taken[n] for n in rng.permutation(len(taken))]
    foil = {place: own[after] for place, after in zip(ring, [*ring[1:], ring[0]], strict=True)}
    taken.sort(key=lambda place: str(truth[place]))  # stable: drawn order within an expression
    return [Subject(place, str(truth[place]), own[place], foil[place]) for place in taken]


def even_count(asked: int, people: int, configurations: int) -> int:
    """Return how many faces a study takes: at most what was asked, with as many of each configuration and answer.

    Raises:
        ValueError: if there are too few people for one round.
    """
    step = 2 * configurations
    count = min(asked, people) // step * step
    if count == 0:
        raise ValueError(
            f"--faces: expected at least {step} faces of different people, two for each of {configurations} "
            f"configurations, got {min(asked, people)}; ask about fewer configurations, or show more faces"
        )
    return count


def designed(subjects: Sequence[Subject], rows: Sequence[Row], seed: int) -> tuple[Items, list[dict[str, list[str]]]]:
    """Lay out every question of a study, and which of them each group of participants is asked.

    Args:
        subjects: F of them, a multiple of 2 C.
        rows: the C configurations.
        seed: of the names of the questions, which say nothing.

    Returns:
        name -> `task`, `trial`, `subject` (its place), `truth`, and for a pair `gallery` (place); and 2 C groups, task
        -> names in no telling order. Participant n is in group n mod 2 C.
    """
    kinds = len(rows)
    asked = [(EXPRESSION, c, n, "") for n in range(len(subjects)) for c in range(kinds)]
    asked += [(PAIR, c, n, kind) for n in range(len(subjects)) for c in range(kinds) for kind in PAIR_ANSWERS]
    rng = np.random.default_rng([seed, 1])
    names: list[str] = []
    while len(names) < len(asked):
        name = rng.bytes(ID_LETTERS // 2).hex()
        if name not in names:
            names.append(name)
    named = dict(zip(asked, names, strict=True))
    items: Items = {}
    for (task, c, n, kind), name in sorted(named.items(), key=lambda pair: pair[1]):
        subject = subjects[n]
        item = {"task": task, "trial": rows[c]["trial"], "subject": n, "truth": kind or subject.truth}
        items[name] = item if not kind else item | {"gallery": subject.own if kind == SAME else subject.foil}
    groups = []
    for group in range(2 * kinds):
        cells = [(n + group) % (2 * kinds) for n in range(len(subjects))]
        # Half a round apart, so that nobody sees one face under one configuration in both tasks.
        other = [((cell + kinds // 2) % kinds, PAIR_ANSWERS[cell // kinds]) for cell in cells]
        groups.append(
            {
                EXPRESSION: sorted(named[EXPRESSION, cell % kinds, n, ""] for n, cell in enumerate(cells)),
                PAIR: sorted(named[PAIR, c, n, kind] for n, (c, kind) in enumerate(other)),
            }
        )
    return items, groups


def configurations_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Name the configurations of a study, ready for JSON."""
    return [
        {"trial": row["trial"], "method": row["method"], "anonymizer": row["anonymizer"], "name": name_of(row)}
        for row in rows
    ]


def digest_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts that are ready for JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()
