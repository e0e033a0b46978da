"""Files of answers: read, and left out with a sentence where they are not whole answers to this study."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.study.design import EXPRESSION, PAIR_ANSWERS, TASKS

KIND, VERSION = "answers of a study", 1


@dataclass(frozen=True)
class Sheet:
    """Hold the answers of one participant.

    Attributes:
        path: of the file.
        participant: the number.
        session: drawn when the participant began.
        answers: `item`, `answer`, `ms`, in the order in which they were given.
    """

    path: Path
    participant: int
    session: str
    answers: tuple[dict[str, Any], ...]


def read_answers(paths: Sequence[Path], key: Mapping[str, Any]) -> tuple[list[Sheet], list[str]]:
    """Read files of answers.

    Returns:
        Those that are whole answers to the study, in the order of their participants, and of each other one a sentence
        that says why it is left out.

    Raises:
        ValueError: if none is left.
    """
    sheets: dict[int, Sheet] = {}
    said: list[str] = []
    for path in paths:
        try:
            sheet = read_sheet(path, key)
            if (other := sheets.get(sheet.participant)) is not None:
                if other.session == sheet.session:
                    raise ValueError(f"{path}: expected one file of each session, {other.path} has the same answers")
                raise ValueError(
                    f"{path}: expected participants with numbers of their own, {other.path} is of number "
                    f"{sheet.participant} too, answered another time; whose these are cannot be told"
                )
            sheets[sheet.participant] = sheet
        except ValueError as error:
            said.append(f"{error}; left out")
    if not sheets:
        raise ValueError(f"ANSWERS: expected answers to the study, none of {len(paths)} files holds any: {said[0]}")
    return [sheets[number] for number in sorted(sheets)], said


def read_sheet(path: Path, key: Mapping[str, Any]) -> Sheet:
    """Read the answers of one participant.

    Raises:
        ValueError: if the file is not whole, or its answers are not those to the study's questions.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: expected a file of answers: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path}: expected a file of answers, it is no JSON, or its end is missing") from None
    if not isinstance(found, dict) or found.get("kind") != KIND or found.get("version") != VERSION:
        raise ValueError(f"{path}: expected a file of answers, version {VERSION}, it is something else")
    if found.get("study") != key["study"]:
        raise ValueError(
            f"{path}: expected answers to the study {key['study'][:12]}…, they are to {str(found.get('study'))[:12]}…"
        )
    participant, session = found.get("participant"), found.get("session")
    numbered = isinstance(participant, int) and not isinstance(participant, bool)
    if not isinstance(participant, int) or not numbered or participant < 0 or not isinstance(session, str):
        raise ValueError(f"{path}: expected the participant's number and session, got {participant!r}, {session!r}")
    answers = found.get("answers")
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise ValueError(f"{path}: expected a list of answers, got {type(answers).__name__}")
    group = key["groups"][participant % len(key["groups"])]
    asked = {name for task in TASKS for name in group[task]}
    given = [one.get("item") for one in answers]
    if other := next((name for name in given if not isinstance(name, str) or name not in asked), None):
        raise ValueError(f"{path}: expected the questions of participant {participant}, got another one, {other!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"{path}: expected every question answered once, {len(given) - len(set(given))} are twice")
    if len(given) < len(asked):
        raise ValueError(f"{path}: expected {len(asked)} answers, it has {len(given)}: the participant did not finish")
    for one in answers:
        _check(path, one, key)
    return Sheet(path, participant, session, tuple(answers))


def _check(path: Path, one: Mapping[str, Any], key: Mapping[str, Any]) -> None:
    known = key["classes"] if key["items"][one["item"]]["task"] == EXPRESSION else PAIR_ANSWERS
    if one.get("answer") not in known:
        raise ValueError(f"{path}: expected {', '.join(known)} as answer to {one['item']}, got {one.get('answer')!r}")
    ms = one.get("ms")
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not math.isfinite(ms) or ms < 0:
        raise ValueError(f"{path}: expected a time of at least 0 ms for {one['item']}, got {ms!r}")


def answer_rows(sheets: Sequence[Sheet], key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out every answer beside its question.

    Returns:
        `participant`, `session`, `at` (place in the order of the participant's answers), `task`, `trial`, `item`,
        `face`, `gallery` (None but for a pair), `truth`, `answer`, `correct`, `ms`.
    """
    rows = []
    for sheet in sheets:
        for at, one in enumerate(sheet.answers):
            item = key["items"][one["item"]]
            rows.append(
                {
                    "participant": sheet.participant,
                    "session": sheet.session,
                    "at": at,
                    "task": item["task"],
                    "trial": item["trial"],
                    "item": one["item"],
                    "face": item["face"],
                    "gallery": item.get("gallery"),
                    "truth": item["truth"],
                    "answer": one["answer"],
                    "correct": one["answer"] == item["truth"],
                    "ms": float(one["ms"]),
                }
            )
    return rows
