"""Options: fields of frozen groups that carry what a command line says of them, and what they may be.

    precision: str = option("float32", "Of PyTorch's networks.", known=("float32", "float16"), section="Networks")

A group goes whole to the one room that uses it; `orchestrator.terminal.options_of` makes a command's options of it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

REQUIRED: Any = MISSING
"""Default of an option that must be given."""
MANY = 40
"""Names that a sentence lists at most."""
LARGEST = 2**31 - 1
"""Largest whole number that an option may have: tables, seeds and indices hold no more, or not much."""


@dataclass(frozen=True)
class Option:
    """Say of a field what its command line needs.

    Attributes:
        help: one sentence.
        section: of the help page.
        flag: on the command line, where it is not the field's name.
        known: values that it may have, or each of several; () for any.
        unless: tells other values that it may have too from unknown names; they are what `otherwise` says.
        otherwise: in words.
        least, above, most: bounds of a number; `least` and `most` may be reached, `above` may not.
        needs: what it does nothing without; see `refuse_idle`.
        shown: the default in words, where the field's own says nothing.
        variable: of the environment that sets it.
        parse: reads its text, where the field's type does not say how.
        argument: whether it is an argument, given by its place.
        lasting: whether a sweep must be resumed with the same value.
    """

    help: str
    section: str | None = None
    flag: str | None = None
    known: tuple[str, ...] = ()
    unless: Callable[[str], bool] | None = None
    otherwise: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    needs: str = ""
    shown: str | None = None
    variable: str | None = None
    parse: Callable[[str], Any] | None = None
    argument: bool = False
    lasting: bool = False


def option(default: Any, help: str, **facts: Any) -> Any:
    """Declare a field that is an option of a command, see `Option`."""
    return field(default=default, metadata={"option": Option(help, **facts)})


def options_in(group: Any) -> dict[str, Option]:
    """Return the options of a group, or of its class, in the order of the fields."""
    return {f.name: f.metadata["option"] for f in dataclasses.fields(group) if "option" in f.metadata}


def flag_of(group: Any, name: str) -> str:
    """Return how a command line names a field, e.g. "--time-budget"."""
    found = options_in(group)[name]
    return found.flag or (name.upper() if found.argument else f"--{name.replace('_', '-')}")


def check_values(group: Any) -> None:
    """Check that every option of a group has a value that it may have.

    Raises:
        ValueError: if one has not; the sentence names the option, what was expected and what came.
    """
    for name, facts in options_in(group).items():
        value, flag = getattr(group, name), flag_of(group, name)
        if value is None:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str | Path) and not str(one) and getattr(type(group), name, None) != one:
                raise ValueError(f"{flag}: expected a value, got an empty one")
            if one == getattr(type(group), name, None):
                continue  # the default, which may stand for what is found out later
            if facts.known and one not in facts.known and not (facts.unless is not None and facts.unless(one)):
                raise ValueError(expected_one_of(flag, facts.known, one, facts.otherwise))
            if isinstance(one, str | Path) and (text := str(one)).encode("utf-8", "replace") != os.fsencode(text):
                # Tables, pages and JSON hold text; a name of other bytes can stand in none of them.
                raise ValueError(f"{flag}: expected a text in UTF-8, got {text!a}; give it another name")
        least, above = facts.least, facts.above
        most = LARGEST if facts.most is None and isinstance(value, int) else facts.most
        if least is not None and facts.most is not None and not least <= value <= facts.most:
            raise ValueError(f"{flag}: expected {_plain(least)} to {_plain(facts.most)}, got {_plain(value)}")
        if least is not None and not (math.isfinite(value) and value >= least):
            raise ValueError(f"{flag}: expected at least {_plain(least)}, got {_plain(value)}")
        if above is not None and not (math.isfinite(value) and value > above):
            raise ValueError(f"{flag}: expected more than {_plain(above)}, got {_plain(value)}")
        if most is not None and not value <= most:
            raise ValueError(f"{flag}: expected at most {_plain(most)}, got {_plain(value)}")


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def expected_one_of(what: str, known: Collection[str], got: str, otherwise: str = "") -> str:
    """Say that a name is unknown, which ones are known unless they are many, and which of them is the nearest."""
    plain = {name.lower(): name for name in known}
    near = difflib.get_close_matches(got.lower(), plain, n=1)
    or_else = f", or {otherwise}" if otherwise else ""
    names = ", ".join(known) if len(known) <= MANY else f"{len(known)} names"
    return f"{what}: expected one of {names}{or_else}, got {got!r}" + (
        f"; the nearest is {plain[near[0]]}" if near else ""
    )


def first_difference(before: Any, now: Any, name: str) -> tuple[str, str, str] | None:
    """Find the first thing in which facts differ: its name, what it was and what it is, in words; None if they agree.

    Args:
        before, now: ready for JSON; what lies in mappings is looked for there.
        name: of the whole.
    """
    if before == now:
        return None
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            if found := first_difference(before.get(key), now.get(key), f"{name} {key}".strip()):
                return found
    return name, _in_words(before), _in_words(now)


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 and not text.strip("0123456789abcdef") else text  # a SHA-256


def refuse_idle(reasons: Mapping[str, str], *groups: Any) -> None:
    """Refuse options that were given and do nothing.

    Args:
        reasons: what is not there, by which options say that they need it -> why, e.g. "with --backend inprocess".
        groups: of options.

    Raises:
        ValueError: if there is one; the sentence names it.
    """
    for group in groups:
        given = changed(group)
        for name, facts in options_in(group).items():
            value, flag = getattr(group, name), flag_of(group, name)
            if facts.needs not in reasons or flag not in given:
                continue
            if facts.variable and os.environ.get(facts.variable) == str(value):
                continue  # the environment's, which speaks to other commands too
            raise ValueError(f"{flag} {value}: does nothing {reasons[facts.needs]}; leave it out")


def lasting(*groups: Any) -> dict[str, Any]:
    """Return what a sweep must be resumed with, ready for JSON: flag -> value."""
    return {
        flag_of(group, name): _plain_json(getattr(group, name))
        for group in groups
        for name, facts in options_in(group).items()
        if facts.lasting
    }


def _plain_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def changed(group: Any) -> list[str]:
    """List the flags of the options that have another value than their default."""
    defaults = {f.name: f.default for f in dataclasses.fields(group)}
    return [flag_of(group, name) for name in options_in(group) if getattr(group, name) != defaults[name]]
