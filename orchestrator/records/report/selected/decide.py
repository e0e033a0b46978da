"""The top of the report: a bound to choose, and the configuration that is best among those that keep it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluators.attackers import ATTACKERS
from orchestrator.records.report.drawing import spread_out
from orchestrator.records.report.page import name_cell, text_cell
from orchestrator.records.report.selected.groups import clicked_groups
from orchestrator.records.trials import Row, hyperparameters
from orchestrator.records.wording import ANCHORS, measured_columns, name_of, number, with_interval

SCRIPT = Path(__file__).with_name("decide.js")
FIRST_BOUND = 0.1
"""Of a rate that is to be low, before anybody moves the slider."""
READ = ("expression_kept", "expression_kappa", "expression_r2", "expression_accuracy")
"""How columns of readers begin."""


def decision(
    front: Sequence[Row],
    rows: Sequence[Row],
    objectives: Mapping[str, str],
    details: Mapping[int, Mapping[str, Any]],
    confusions: Mapping[str, Any],
) -> str:
    """Write the sentence with its slider, the faces beside it, and what a click on a point shows.

    Args:
        front: flat rows of the front.
        rows: flat rows that can be clicked.
        objectives: metric name -> "min" or "max"; the first is bounded, the second is best under the bound.
        details: of the front's trials, see `Scores.details`.
        confusions: what the script draws of the selected one, as `confusions_facts` gives it.
    """
    bounded, best = list(objectives)[:2]
    choices = [choice for row in front if row["method"] not in ANCHORS and (choice := _choice(row, bounded, best))]
    if not choices:
        return ""
    rate = bounded.startswith("rank1_")
    low, high = (0.0, 1.0) if rate else _ends(choices)
    start = FIRST_BOUND if rate else (low + high) / 2
    columns = {
        "attackers": measured_columns(rows, (f"rank1_{name}" for name in ATTACKERS)),
        "readers": measured_columns(
            rows, [n for n in rows[0] if n.startswith(READ) and not n.endswith(("_lo", "_hi"))]
        ),
    }
    facts = {
        "bounded": bounded,
        "best": best,
        "ways": [objectives[bounded], objectives[best]],
        "rate": rate,
        "ends": [low, high],
        "choices": choices,
        "columns": columns,
        "details": {str(row["trial"]): _details(row, columns, details.get(row["trial"], {})) for row in rows},
        "confusions": confusions,
    }
    value = round(100 * (start - low) / ((high - low) or 1))
    said = "faces recognized" if rate else text_cell(bounded)
    script = SCRIPT.read_text(encoding="utf-8")
    return (
        "<section id='decide'><h2>Decide</h2>"
        f"<label for='bound'>{'At most' if objectives[bounded] == 'min' else 'At least'} "
        f"<output id='bound-said'></output> {'of 100 ' if rate else ''}{said}</label>"
        f"<input type='range' id='bound' min='0' max='100' value='{value}'>"
        "<p id='decided' aria-live='polite'></p><div class='wide' id='decided-faces' hidden></div>"
        "<div id='clicked' class='clicked' tabindex='-1' hidden></div></section>"
        f"<script type='application/json' id='decide-facts'>{_safe(facts)}</script><script>{script}</script>"
    )


def method_boxes(rows: Sequence[Row]) -> str:
    """Write a box to tick for each method, which shows or hides it in figures and tables."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    if len(methods) < 2:
        return ""
    boxes = "".join(
        f"<label><input type='checkbox' value='{text_cell(name)}' checked> {text_cell(name)}</label>"
        for name in methods
    )
    return f"<fieldset id='methods'><legend>Methods shown</legend>{boxes}</fieldset>"


def clickable(rows: Sequence[Row], front: Sequence[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Return the rows that a click can show: those of the front, and of each method as many as are drawn."""
    first = next(iter(objectives))
    drawn = {row["trial"]: row for row in front}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and row.get(first) is not None]
        drawn |= {row["trial"]: row for row in spread_out(own, first)}
    return list(drawn.values())


def _choice(row: Row, bounded: str, best: str) -> dict[str, Any] | None:
    """Return what the slider needs of a row; None where it was not measured."""
    if row.get(bounded) is None or row.get(best) is None:
        return None
    ends = [row.get(f"{bounded}_{end}") for end in ("lo", "hi")]
    return {
        "trial": row["trial"],
        "name": name_of(row),
        "interval": [row[bounded] if end is None else end for end in ends],
        "bounded": with_interval(row, bounded),
        "value": row[best],
        "best": with_interval(row, best),
    }


def _ends(choices: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    ends = [end for choice in choices for end in choice["interval"]]
    return min(ends), max(ends)


def _details(row: Row, columns: Mapping[str, Sequence[str]], details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a click shows: hyperparameters, every attacker and reader of the columns, every group of people."""
    return {
        "name": name_cell(row),
        "label": name_of(row),
        "hyperparameters": [[name, number(value)] for name, value in hyperparameters(row).items()],
        "groups": clicked_groups(details),
        **{kind: [with_interval(row, name) for name in names] for kind, names in columns.items()},
    }


def _safe(facts: Any) -> str:
    """Write JSON that can stand in a page: nothing in it ends the element that holds it."""
    return json.dumps(facts).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
