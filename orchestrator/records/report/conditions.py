"""Conditions: what must hold for a front to be believed, and whether it does in this sweep: pass, fail, did not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluators.attackers import ADAPTIVE, ATTACKERS
from orchestrator.records.report.page import text_cell
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, number

PASS, FAIL, NOT_RUN = "pass", "fail", "did not run"
PEOPLE = 50
"""Fewer give intervals of rates that are wider than what is to be told apart."""
WIDTH = 0.1
"""Half width of an interval of rank-1 that still tells configurations apart."""
AGREE = 0.2
"""Kappa between two judges below which they do not mean the same (Landis and Koch, Biometrics 1977: slight)."""
REJECTED = 0.1
"""Share of pictures that may be left out before a sample is another one."""

Condition = tuple[str, str, str]
"""What must hold, whether it does, and the figures."""


def conditions_table(sweep: Mapping[str, Any], front: Sequence[Row]) -> str:
    """Write what must hold for the front to be believed."""
    body = "".join(
        f"<tr><td class='text long'>{text_cell(what)}</td><td class='text'><b class='{state.replace(' ', '-')}'>"
        f"{text_cell(state)}</b></td><td class='text long'>{text_cell(told)}</td></tr>"
        for what, state, told in conditions(sweep, front)
    )
    return f"<div class='wide'><table id='conditions'><tbody>{body}</tbody></table></div>"


def conditions(sweep: Mapping[str, Any], front: Sequence[Row]) -> list[Condition]:
    """Say of each condition whether it holds.

    Args:
        sweep: facts about the sweep.
        front: flat rows of the front.
    """
    panel, protocol = sweep.get("panel", {}), sweep["protocol"]
    real = [row for row in front if row["method"] not in ANCHORS]
    return [
        _learn(panel),
        _read(panel),
        _agree(panel),
        _strong(sweep, real),
        _luck(),
        _rejected(protocol),
        _people(protocol, real),
        _several(real),
    ]


def _learn(panel: Mapping[str, Any]) -> Condition:
    what = "Attackers can learn: each names as many clear faces as one who knows nothing of the method"
    rates = panel.get("rank1_clear", {})
    if not rates:
        return what, NOT_RUN, "no rates on clear faces"
    learned = {name: rate for name, rate in rates.items() if name in ADAPTIVE or name == "fixed"}
    # A panel with one who does not learn is refused before the first trial.
    return what, PASS, ", ".join(f"{name} {number(rate)}" for name, rate in learned.items())


def _read(panel: Mapping[str, Any]) -> Condition:
    what = "Readers can learn: at least two judges can be followed on clear faces"
    reached, admitted = panel.get("judges_clear", {}), panel.get("judges_admitted", ())
    if not reached:
        return what, NOT_RUN, "no judges"
    told = ", ".join(
        f"{name} {number(value)}{'' if name in admitted else ', not followed'}" for name, value in reached.items()
    )
    return what, PASS if len(admitted) >= 2 else FAIL, told


def _agree(panel: Mapping[str, Any]) -> Condition:
    what = f"Judges agree on clear faces: every kappa and correlation at least {AGREE}"
    found = {**panel.get("judges_agree", {}), **{f"{k}, smiling": v for k, v in panel.get("judges_smile", {}).items()}}
    if not found:
        return what, NOT_RUN, "one judge alone"
    least = min(found, key=lambda pair: found[pair])
    return what, PASS if found[least] >= AGREE else FAIL, f"least {number(found[least])}, {least}"


def _strong(sweep: Mapping[str, Any], front: Sequence[Row]) -> Condition:
    what = "The front met every attacker, those who train networks and the held-out embedder too"
    missing = [name for name in ATTACKERS if any(row.get(f"rank1_{name}") is None for row in front)]
    if not front:
        return what, NOT_RUN, "no front"
    if not missing:
        return what, PASS, "all"
    return what, NOT_RUN, f"{', '.join(missing)}; python -m orchestrator.verify {sweep['name']}"


def _luck() -> Condition:
    return (
        "Winner's curse: the front holds on other draws of people",
        NOT_RUN,
        "a search is measured on one draw; python -m orchestrator.verify measures its front again, in verified.html",
    )


def _rejected(protocol: Mapping[str, Any]) -> Condition:
    what = f"Pictures: at most {REJECTED:.0%} were rejected"
    rejected, read = protocol.get("rejected"), protocol.get("n_read")
    if rejected is None or read is None:
        return what, NOT_RUN, "rendered faces, none was rejected" if rejected == 0 else "not counted"
    reasons = ", ".join(f"{count} {reason}" for reason, count in protocol.get("rejected_reasons", {}).items())
    return (
        what,
        PASS if rejected <= REJECTED * read else FAIL,
        f"{rejected} of {read}{f': {reasons}' if reasons else ''}",
    )


def _people(protocol: Mapping[str, Any], front: Sequence[Row]) -> Condition:
    what = f"People enough for the intervals: {PEOPLE} or more, rank-1 known to ± {WIDTH}"
    people = protocol.get("n_people")
    if people is None:
        return what, NOT_RUN, "not counted"
    widths = [
        (row["rank1_worst_hi"] - row["rank1_worst_lo"]) / 2 for row in front if row.get("rank1_worst_hi") is not None
    ]
    widest = max(widths, default=0.0)
    return what, PASS if people >= PEOPLE and widest <= WIDTH else FAIL, f"{people} people, ± {number(widest)} at most"


def _several(front: Sequence[Row]) -> Condition:
    what = "Several methods are on the front, besides anchors"
    methods = sorted({row["method"] for row in front})
    return what, PASS if len(methods) > 1 else FAIL, ", ".join(methods) or "none"
