"""What can be taken out of the report: the front as CSV and as a LaTeX table, without a network or a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from evaluators.attackers import ATTACKERS
from orchestrator.records.trials import Row
from orchestrator.records.wording import name_of, number, strongest

PLAIN = ",;:/()[]{}=!*$@"
"""Signs that may stand in an address as they are; spelled out, as signs between numbers, they would triple it."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def links(front: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Write links that save the front."""
    if not front:
        return ""
    found = (("front.csv", "text/csv", front_csv(front)), ("front.tex", "text/x-tex", front_tex(front, objectives)))
    saved = " ".join(
        f"<a download='{name}' href='data:{kind};charset=utf-8,{quote(text, safe=PLAIN)}'>{name}</a>"
        for name, kind, text in found
    )
    return f"<p class='soft'>Save the front: {saved}; every trial is in trials.parquet.</p>"


def front_csv(front: Sequence[Row]) -> str:
    """Write every measured column of the front as comma-separated values."""
    columns = [name for name in front[0] if any(row.get(name) is not None for row in front)]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([["" if row[name] is None else row[name] for name in columns] for row in front])
    return file.getvalue()


def front_tex(front: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Write the front's objectives, with intervals, as a LaTeX table for booktabs."""
    head = " & ".join(["Configuration", *(escaped(name) for name in objectives), "Strongest attacker"])
    lines = []
    for row in front:
        cells = [escaped(name_of(row))]
        for name in objectives:
            low, high = row.get(f"{name}_lo"), row.get(f"{name}_hi")
            interval = "" if low is None else f" {{\\small [{number(low)}, {number(high)}]}}"
            cells.append(f"{number(row[name])}{interval}")
        lines.append(" & ".join([*cells, escaped(strongest(row, ATTACKERS) or "–")]) + r" \\")
    columns = "l" + "r" * len(objectives) + "l"
    body = "\n".join(lines)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def escaped(text: str) -> str:
    """Escape a text for LaTeX."""
    return "".join(SPECIAL.get(sign, sign) for sign in text)
