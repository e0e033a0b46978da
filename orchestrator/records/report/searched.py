"""The report: one HTML file that opens without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS
from orchestrator.records.front import front_hypervolume, seba_areas
from orchestrator.records.report.conditions import conditions_table
from orchestrator.records.report.drawing import MOST_DRAWN, spread_out
from orchestrator.records.report.exports import links
from orchestrator.records.report.figures import (
    OVERRATED,
    attackers_figure,
    front_figure,
    hifd_figure,
    overrated,
    side_by_side_figure,
)
from orchestrator.records.report.page import (
    QUALITY,
    facts_block,
    figure_block,
    name_cell,
    picture_uri,
    section,
    table_block,
    text_cell,
    write_page,
)
from orchestrator.records.report.parallel import parallel_figure
from orchestrator.records.report.raced import raced_block
from orchestrator.records.report.selected.confusions import confusions_block, confusions_facts
from orchestrator.records.report.selected.decide import clickable, decision, method_boxes
from orchestrator.records.report.selected.groups import groups_block
from orchestrator.records.trials import FEASIBLE, TOLD_BY, Row
from orchestrator.records.wording import ANCHORS, measured_columns, number, strongest, with_interval

TRAINED_ON = (
    "Whom attackers and readers were trained on is not in them: other people would move a single row by 0.02 to 0.03 "
    "more; differences between rows are on the same people."
)
"""What the interval of a single row leaves out."""
BESIDE = ("rank1_fixed", "st_lpips")
"""Metrics in the first table besides the objectives; the second has every one."""


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """Hold the same n faces under several configurations.

    Attributes:
        labels: one per row; the first row is the originals.
        images: (rows, n, H, W, 3) uint8, RGB in [0, 255].

    Raises:
        ValueError: if shape or dtype differ, or there is not one label per row.
    """

    labels: tuple[str, ...]
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if len(shape) != 5 or shape[-1] != 3 or self.images.dtype != np.uint8 or shape[0] != len(self.labels):
            raise ValueError(
                f"ContactSheet.images: expected ({len(self.labels)}, n, H, W, 3) uint8, one row per label, got {shape} "
                f"{self.images.dtype}"
            )


def write_report(
    path: Path | str,
    sweep: Mapping[str, Any],
    rows: Sequence[Row],
    front: Sequence[Row],
    contact: ContactSheet | None = None,
    details: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """Write the report of a sweep.

    Args:
        path: of the HTML file; it gets its name once it is whole.
        sweep: facts about the sweep, as the tables' metadata has them.
        rows: flat rows of the trials table.
        front: flat rows of the front table.
        contact: faces to look at; None leaves that part out.
        details: trial -> what its scores have beside the columns, of the front and the anchors.
    """
    details = details or {}
    confusions = confusions_facts(details, sweep.get("panel", {}))
    objectives: dict[str, str] = sweep["objectives"]
    failed = [row for row in rows if row["status"] == "failed"]
    measured = [row for row in rows if row["status"] != "stopped"]  # the values of a stopped one are bounds
    parts = [
        _head(sweep, rows, front, failed),
        decision(front, clickable(measured, front, objectives), objectives, details, confusions),
        method_boxes(measured),
        figure_block("front", front_figure(measured, front, objectives)),
        section("How to read it", f"<p>{_reading(objectives)}{_thinned(measured)}</p>"),
        section("The front", _front_table(front, objectives) + links(front, objectives)),
        section("Conditions", conditions_table(sweep, front)),
    ]
    if block := confusions_block(confusions):
        parts.append(section("What is read of each expression", block))
    if block := groups_block(front, details, sweep["protocol"], next(iter(objectives))):
        parts.append(section("Groups of people", block))
    if sweep.get("sampler") == "grid" and (listed := _listed(measured, objectives)):
        lead = (
            "<p class='lead'>Every configuration of the list, on and off the front. Where two intervals overlap, "
            "<code>python -m orchestrator.compare</code> tells the interval of the difference on the same people.</p>"
        )
        if len(listed) > MOST_DRAWN:
            lead += f"<p>{MOST_DRAWN} of {len(listed)} are shown, spread evenly; trials.parquet has all.</p>"
            listed = spread_out(listed, next(iter(objectives)))
        drawing = figure_block("side", side_by_side_figure(listed, objectives))
        parts.append(section("Side by side", lead + drawing + _front_table(listed, objectives)))
    if contact is not None:
        parts.append(section("The same faces under each configuration", _contact(contact)))
    if (figure := parallel_figure(measured, objectives)) is not None:
        lead = (
            "<p class='lead'>Each line is a trial of the method in the menu, its color the first objective; a click "
            "shows the trial.</p>"
        )
        parts.append(section("Hyperparameters", lead + figure_block("parallel", figure)))
    if (figure := attackers_figure(measured)) is not None:
        lead = (
            "<p class='lead'>Each point is a trial. A fixed attacker compares anonymized with clear pictures; the "
            "strongest attacker here knows the method. The height over the diagonal is privacy that only the fixed "
            f"attacker sees. {text_cell(_overrated(measured))}</p>"
        )
        parts.append(section("What a fixed attacker overrates", lead + figure_block("attackers", figure)))
    if (drawn := hifd_figure(measured)) is not None:
        figure, tau = drawn
        lead = (
            "<p class='lead'>A distance of embeddings, as some tables report it (<code>hifd_privacy</code>), knows no "
            f"attacker. Kendall's tau between its order of the configurations and that by <code>rank1_worst</code> is "
            f"{number(tau)}; 1 would be agreement.</p>"
        )
        parts.append(section("Where a privacy without an attacker disagrees", lead + figure_block("hifd", figure)))
    if areas := seba_areas(measured):
        parts.append(section("For comparison with others' tables", _compared(measured, areas)))
    if raced := raced_block(rows, front, objectives):
        parts.append(section("Stopped early", raced))
    if failed:
        body = [[str(row["trial"]), name_cell(row), row["error"]] for row in failed]
        title = f"Failures ({len(failed)})"
        if len(body) > MOST_DRAWN:
            title, body = f"{title}: the last {MOST_DRAWN}, trials.parquet has all", body[-MOST_DRAWN:]
        parts.append(section(title, table_block(["trial", "configuration", "error"], body, 3)))
    about = {key: value for key, value in sweep.items() if key not in ("protocol", "models", "versions", "notes")}
    parts += [
        section("Protocol: people and pictures", facts_block(sweep["protocol"])),
        section("Models", _demo_sentence(sweep) + facts_block(sweep["models"])),
        section("Sweep and versions", facts_block({**about, "versions": sweep["versions"]})),
    ]
    faces = contact.images.shape[1] if contact is not None else 1
    write_page(path, f"{sweep['name']}: privacy-utility front", parts, faces=faces)


def _thinned(rows: Sequence[Row]) -> str:
    """Say that not every trial is drawn, where it is so."""
    if max(Counter(row["method"] for row in rows).values(), default=0) <= MOST_DRAWN:
        return ""
    return (
        f" Of a method with more than {MOST_DRAWN} trials on or off the front so many are drawn, spread evenly; tables "
        "and counts are of all."
    )


def _compared(rows: Sequence[Row], areas: Mapping[str, float]) -> str:
    """Write what other programs report of a method, beside the strongest attacker."""
    lead = (
        "<p class='lead'><code>seba_area</code> is the area under SEBA's step curve of "
        "<code>expression_kappa_adapted</code> over <code>rank1_worst</code> (Todt et al., 2024): larger is better, "
        "and a method with one configuration has one step. The last column is the most by which a configuration's "
        "strongest attacker exceeds the fixed one.</p>"
    )
    body = []
    for method, area in areas.items():
        own = [row for row in rows if row["method"] == method and row["status"] == "complete"]
        distance = [row["hifd_privacy"] for row in own if row.get("hifd_privacy") is not None]
        gaps = [row["rank1_worst"] - row["rank1_fixed"] for row in own if row.get("rank1_fixed") is not None]
        far = [number(round(end, 6) + 0.0) for end in (min(distance), max(distance))] if distance else ["–"]
        ends = " to ".join(dict.fromkeys(far))
        body.append([method, str(len(own)), number(area), ends, number(max(gaps)) if gaps else "–"])
    head = ["method", "configurations", "seba_area", "hifd_privacy", "rank1_worst − rank1_fixed"]
    return lead + table_block(head, body, 1)


def _overrated(rows: Sequence[Row]) -> str:
    """Say for which methods the fixed attacker overrates privacy, and how often."""
    counted = overrated(rows)
    told = [f"{over} of {of} with {method}" for method, (over, of) in counted.items() if over]
    if not told:
        return f"No configuration here hides more than {OVERRATED} of rank-1 from him alone."
    return f"More than {OVERRATED} of rank-1 is hidden from him alone in {', '.join(told)}."


def _head(sweep: Mapping[str, Any], rows: Sequence[Row], front: Sequence[Row], failed: Sequence[Row]) -> str:
    """Say in five numbers what came out."""
    facts = [
        (str(len(rows)), "trials, anchors included"),
        (str(sum(row["method"] not in ANCHORS for row in front)), "configurations on the front, besides anchors"),
        (number(front_hypervolume(rows, sweep["objectives"])), "hypervolume"),
        (str(sweep["protocol"].get("n_people", "–")), "people to be identified"),
        (str(len(failed)), "failures"),
    ]
    if kept := sweep.get("constraints"):
        facts.append((str(sum(row.get(FEASIBLE) is False for row in rows)), f"break {' or '.join(kept)}"))
    tiles = "".join(f"<div><b>{text_cell(value)}</b><span>{text_cell(name)}</span></div>" for value, name in facts)
    notes = "".join(f"<p class='warn'>{text_cell(note)}</p>" for note in sweep.get("notes", ()))
    judged = "".join(f"<p class='lead'>{text_cell(line)}</p>" for line in judges_lines(sweep.get("panel", {}), rows))
    return (
        f"<h1>{text_cell(sweep['name'])}</h1><p class='lead'>How much identity can be removed from a face while its "
        f"expression stays readable? Space {text_cell(sweep['space'])}, faces "
        f"{text_cell(sweep['protocol'].get('name', '–'))}, {text_cell(sweep['created'])}.</p>{notes}"
        f"<div class='numbers'>{tiles}</div>{judged}"
    )


def judges_lines(panel: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """Say who judges the expression, whether the judges mean the same, and what was told by whom.

    Args:
        panel: facts of the panel.
        rows: flat rows of the trials.
    """
    admitted, reached = panel.get("judges_admitted", ()), panel.get("judges_clear", {})
    if not reached:
        return []
    judges = ", ".join(f"{name} ({number(reached[name])})" for name in admitted)
    lines = [f"The expression is judged by {judges}: in brackets what an adapted reader reaches on clear faces."]
    if left := [name for name in reached if name not in admitted]:
        found = ", ".join(f"{name} ({number(reached[name])})" for name in left)
        lines.append(f"Not admitted, since no reader can follow them on clear faces: {found}.")
    kappas, smiles = panel.get("judges_agree", {}), panel.get("judges_smile", {})
    if kappas or smiles:
        words = [f"{pair}: kappa {number(value)}" for pair, value in kappas.items()]
        words += [f"{pair}: smiling correlates with {number(value)}" for pair, value in smiles.items()]
        lines.append(f"How far the judges agree on clear faces: {'; '.join(words)}.")
    tellers: dict[str, set[str]] = {}
    for row in rows:
        if row.get(TOLD_BY):
            tellers.setdefault(row[TOLD_BY], set()).add(row["method"])
    return lines + [f"Told the expression by {who}: {', '.join(sorted(tellers[who]))}." for who in sorted(tellers)]


def _reading(objectives: Mapping[str, str]) -> str:
    """Explain figure and table in one paragraph."""
    sides = [
        f"<code>{text_cell(name)}</code> ({text_cell(METRICS[name].description.rstrip('.'))}; "
        f"{'lower' if way == 'min' else 'higher'} is better)"
        for name, way in objectives.items()
    ]
    return (
        f"Each point is one configuration of an anonymizer, measured by {' and '.join(sides)}. Large points with bars "
        "are on the front: no other trial is at least as good in every objective and better in one. Bars and brackets "
        f"are 95 % intervals over people. {TRAINED_ON} <code>front_probability</code> is the share of bootstrap draws "
        "of people in which nothing dominates the configuration; one near 0.5 may owe its place to luck. The front is "
        "the best of many noisy measurements and therefore optimistic. The anchors, unchanged faces and a black "
        "picture, mark the two ends, and a square in the color of a told word shows what a method gains by being told "
        "that word; chance is what guessing among the enrolled people reaches."
    )


def _listed(rows: Sequence[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Return the rows that are complete in the objectives, the anchors at the two ends."""
    complete = [row for row in rows if row["status"] == "complete" and all(row.get(n) is not None for n in objectives)]
    return sorted(complete, key=lambda row: {"identity": -1, "word": 1, "blackout": 2}.get(row["method"], 0))


def _front_table(front: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Write the front, and every metric of it to unfold."""
    if not front:
        return "<p>No trial is complete with every objective measured, so there is no front.</p>"
    further = measured_columns(front, (name for name in BESIDE if name not in objectives))
    every = measured_columns(front, METRICS)
    tables = []
    most = len(front) <= MOST_DRAWN
    for columns, who in (([*objectives, "front_probability", *further], True), (["front_probability", *every], False)):
        body = []
        shown = front if who or most else spread_out(front, next(iter(objectives)))
        for row in shown:
            measured = [with_interval(row, name) for name in columns]
            named = [strongest(row, ATTACKERS) or "–"] if who else []
            body.append([str(row["trial"]), name_cell(row), *measured, *named])
        head = ["trial", "configuration", *columns, *(["strongest attacker"] if who else [])]
        tables.append(table_block(head, body, 2, shown))
    title = "Every metric" if most else f"Every metric, of {MOST_DRAWN} rows spread evenly; front.parquet has all"
    return f"{tables[0]}<details><summary>{title}</summary>{tables[1]}</details>"


def _contact(contact: ContactSheet) -> str:
    """Write the faces as a grid of pictures."""
    cells = []
    for label, faces in zip(contact.labels, contact.images, strict=True):
        cells.append(f"<span>{text_cell(label)}</span>")
        cells += [
            f"<img data-row='{text_cell(label)}' alt='{text_cell(label)}, face {place + 1}' src='{picture_uri(face)}'>"
            for place, face in enumerate(faces)
        ]
    lead = f"<p class='lead'>Released pictures, for this page compressed as WebP of quality {QUALITY}.</p>"
    return f"{lead}<div class='wide'><div class='sheet'>{''.join(cells)}</div></div>"


def _demo_sentence(sweep: Mapping[str, Any]) -> str:
    """Say so plainly if the networks are the demo's."""
    if "demo" not in str(sweep["models"]).lower():
        return ""
    return (
        "<p class='warn'>These are demo networks, small ones made for rendered faces. The numbers show that the "
        "program works; they say nothing about real people or real attackers.</p>"
    )
