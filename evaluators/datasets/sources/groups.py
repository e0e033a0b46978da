"""Groups: what a table says of people, as gender or age; numbers are cut into thirds.

    face_id,face_age,face_gender,face_eth
    001,24,female,white

The first column names the people as their faces do; every other one is an attribute.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anonymizers.faces import named, person_of
from evaluators.datasets.protocol import LEAST_PEOPLE, Protocol

MOST_GROUPS = 12
"""Different values of an attribute, unless they are numbers; more are names, and no groups."""
FEW_NUMBERS = 5
"""Different numbers that are groups as they stand, such as codes."""


@dataclass(frozen=True)
class PeopleTable:
    """Hold what a table says: attribute -> person -> value; "" where it says nothing."""

    path: Path
    attributes: Mapping[str, Mapping[str, str]]
    people: tuple[str, ...]


def read_people_table(path: Path) -> PeopleTable:
    """Read a CSV file of people.

    Raises:
        ValueError: if it is none, has no attributes or no people, or names one twice.
    """
    rule = "--groups: expected a CSV file in UTF-8, its first column people, every other one an attribute of theirs"
    if not path.is_file():
        raise ValueError(f"{rule}; {path} is no file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file, skipinitialspace=True, strict=True) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{rule}; {path}: {error}") from None
    head, body = [cell.strip() for cell in lines[0]] if lines else [], lines[1:]
    if len(head) < 2 or not all(head) or len(set(head)) < len(head):
        raise ValueError(f"{rule}, each with a name of its own; {path} begins with {','.join(head)[:80]!r}")
    if not body:
        raise ValueError(f"{rule}; {path} has no people below its header")
    if odd := next((line for line in body if len(line) != len(head)), None):
        raise ValueError(f"{rule}; {path} has {len(odd)} cells for {odd[0][:40]!r}, and {len(head)} columns")
    people = [line[0].strip() for line in body]
    if (twice := Counter(people).most_common(1)[0])[1] > 1:
        raise ValueError(f"--groups: expected each person once, {path} has {twice[0]!r} {twice[1]} times")
    columns = {name: [line[place].strip() for line in body] for place, name in enumerate(head)}
    attributes = {name: dict(zip(people, columns[name], strict=True)) for name in head[1:]}
    return PeopleTable(path, attributes, tuple(people))


def with_groups(protocol: Protocol, table: PeopleTable) -> Protocol:
    """Return a protocol that knows the groups of its enrolled people, and says in its facts how many each has.

    Raises:
        ValueError: if the table has none of them, or a column with nearly as many values as people.
    """
    name_of = dict(zip(protocol.probe.identity.tolist(), map(person_of, protocol.probe.key), strict=True))
    people = [name_of[one] for one in protocol.enrolled.tolist()]
    known = {person_of(named(person, "")): person for person in table.people}
    if not known.keys() & set(people):
        raise ValueError(
            f"--groups: expected people of {protocol.name}, such as {people[0]!r}, in the first column of "
            f"{table.path}, got others, such as {table.people[0]!r}; name them as their faces are named"
        )
    groups = {}
    for attribute, value_of in table.attributes.items():
        values = [value_of[known[person]] or None if person in known else None for person in people]
        groups[attribute] = _grouped(attribute, values, table.path)
    counted = {attribute: dict(sorted(Counter(filter(None, of)).items())) for attribute, of in groups.items()}
    facts = {**protocol.facts, "groups": counted, "n_people_without_group": sum(one not in known for one in people)}
    return replace(protocol, groups=groups, facts=facts)


def told_groups(facts: Mapping[str, Any]) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """Return the groups of a protocol's facts with their numbers of people: those large enough, and the others."""
    counted: Mapping[str, Mapping[str, int]] = facts.get("groups", {})
    each = [(attribute, group, count) for attribute, of in counted.items() for group, count in of.items()]
    return [one for one in each if one[2] >= LEAST_PEOPLE], [one for one in each if one[2] < LEAST_PEOPLE]


def _grouped(attribute: str, values: Sequence[str | None], path: Path) -> tuple[str | None, ...]:
    """Return the groups that values are: themselves, or thirds where they are many numbers."""
    known = {value for value in values if value is not None}
    numbers = {value: number for value in known if (number := _number(value)) is not None}
    if known and numbers.keys() == known and len(known) > FEW_NUMBERS:
        return _thirds([None if value is None else numbers[value] for value in values])
    if len(known) > MOST_GROUPS:
        raise ValueError(
            f"--groups: expected columns with at most {MOST_GROUPS} groups, or numbers, {attribute!r} of {path} has "
            f"{len(known)} different values; leave that column out"
        )
    return tuple(values)


def _thirds(values: Sequence[float | None]) -> tuple[str | None, ...]:
    """Cut numbers into three groups of about as many people each; equal ones stay together."""
    known = sorted(value for value in values if value is not None)
    cuts = [known[len(known) // 3], known[2 * len(known) // 3]]
    place = [None if value is None else sum(value >= cut for cut in cuts) for value in values]
    names = {}
    for third in {one for one in place if one is not None}:
        own = [value for value, one in zip(values, place, strict=True) if one == third and value is not None]
        names[third] = f"{min(own):g} to {max(own):g}" if max(own) > min(own) else f"{min(own):g}"
    return tuple(None if one is None else names[one] for one in place)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
