"""The report: one HTML file that opens without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import plotly.offline
from numpy.typing import NDArray
from PIL import Image

from evaluators.metrics import METRICS
from orchestrator.front import Row, front_hypervolume, seba_areas
from orchestrator.ledger import replace_file
from orchestrator.report_figures import (
    ANCHORS,
    OVERRATED,
    attackers_figure,
    curves_figure,
    front_figure,
    hifd_figure,
    overrated,
    side_by_side_figure,
    verified_figure,
)
from orchestrator.trials import KEY_COLUMNS, measured_columns, name_of, number, with_interval

TEMPLATE = Path(__file__).with_name("report_template.html")


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
) -> None:
    """Write the report of a sweep.

    Args:
        path: of the HTML file; it gets its name once it is whole.
        sweep: facts about the sweep, as the tables' metadata has them.
        rows: flat rows of the trials table.
        front: flat rows of the front table.
        contact: faces to look at; None leaves that part out.
    """
    objectives: dict[str, str] = sweep["objectives"]
    failed = [row for row in rows if row["status"] == "failed"]
    parts = [
        _head(sweep, rows, front, failed),
        _figure("front", front_figure(rows, front, objectives)),
        _section("How to read it", f"<p>{_reading(objectives)}</p>"),
        _section("The front", _front_table(front, objectives)),
    ]
    if sweep.get("sampler") == "grid" and (listed := _listed(rows, objectives)):
        lead = (
            "<p class='lead'>Every configuration of the list, on and off the front. Where two intervals overlap, "
            "<code>python -m orchestrator.compare</code> tells the interval of the difference on the same people.</p>"
        )
        drawing = _figure("side", side_by_side_figure(listed, objectives))
        parts.append(_section("Side by side", lead + drawing + _front_table(listed, objectives)))
    if contact is not None:
        parts.append(_section("The same faces under each configuration", _contact(contact)))
    if (figure := attackers_figure(rows)) is not None:
        lead = (
            "<p class='lead'>Each point is a trial. A fixed attacker compares anonymized with clear pictures; the "
            "strongest attacker here knows the method. The height over the diagonal is privacy that only the fixed "
            f"attacker sees. {_text(_overrated(rows))}</p>"
        )
        parts.append(_section("What a fixed attacker overrates", lead + _figure("attackers", figure)))
    if (drawn := hifd_figure(rows)) is not None:
        figure, tau = drawn
        lead = (
            "<p class='lead'>A distance of embeddings, as some tables report it (<code>hifd_privacy</code>), knows no "
            f"attacker. Kendall's tau between its order of the configurations and that by <code>rank1_worst</code> is "
            f"{number(tau)}; 1 would be agreement.</p>"
        )
        parts.append(_section("Where a privacy without an attacker disagrees", lead + _figure("hifd", figure)))
    if areas := seba_areas(rows):
        parts.append(_section("For comparison with others' tables", _compared(rows, areas)))
    if failed:
        body = [[str(row["trial"]), _name(row), row["error"]] for row in failed]
        parts.append(_section(f"Failures ({len(failed)})", _table(["trial", "configuration", "error"], body, 3)))
    about = {key: value for key, value in sweep.items() if key not in ("protocol", "models", "versions", "notes")}
    parts += [
        _section("Protocol: people and pictures", _facts(sweep["protocol"])),
        _section("Models", _demo_sentence(sweep) + _facts(sweep["models"])),
        _section("Sweep and versions", _facts({**about, "versions": sweep["versions"]})),
    ]
    faces = contact.images.shape[1] if contact is not None else 1
    _write_page(path, f"{sweep['name']}: privacy-utility front", parts, faces=faces)


def write_verified(
    path: Path | str,
    sweep: Mapping[str, Any],
    before: Sequence[Row],
    after: Sequence[Row],
    curves: Sequence[Row] = (),
) -> None:
    """Write the report of a verification: the front before and after, side by side.

    Args:
        path: of the HTML file; it gets its name once it is whole.
        sweep: facts about search and verification, as the metadata of `verified.parquet` has them.
        before: flat rows of the front as searched.
        after: the same configurations as verified, in the same order, with `on_front`.
        curves: rows of `curves.parquet`; without them their section is left out.
    """
    objectives: dict[str, str] = sweep["objectives"]
    stayed = sum(bool(row["on_front"]) for row in after)
    lead = (
        "<p class='lead'>The front of a search is the best of many noisy measurements. Open marks are what it "
        "measured; filled ones, with 95 % intervals over people, what other draws, other seeds and the attackers below "
        f"say of the same configurations. {stayed} of {len(after)} stay on the front. "
        f"{_text(_curse(before, after, objectives))}</p>"
    )
    head = ["configuration", *(f"{name}: {when}" for name in objectives for when in ("search", "verified"))]
    body = [
        [
            _name(old),
            *(with_interval(row, name) for name in objectives for row in (old, new)),
            "yes" if new["on_front"] else "no",
        ]
        for old, new in zip(before, after, strict=True)
    ]
    every = measured_columns(after, METRICS)
    rest = [[_name(row), *(with_interval(row, name) for name in every)] for row in after]
    parts = [
        f"<h1>{_text(sweep['name'])}, verified</h1>{lead}",
        _figure("verified", verified_figure(before, after, objectives)),
        _section("Search and verification", _table([*head, "on the front"], body, 1)),
        f"<details><summary>Every metric</summary>{_table(['configuration', *every], rest, 1)}</details>",
        _section("Verification", _facts(sweep["verified"])),
    ]
    if curves:
        lead = (
            "<p class='lead'>Of each configuration's strongest attacker: the share of faces whose person is among his "
            "k best names, and the share of genuine pairs that he accepts where he accepts so many impostors.</p>"
        )
        figures = "".join(_figure(kind, curves_figure(curves, after, kind)) for kind in ("cmc", "roc"))
        parts.insert(2, _section("The strongest attacker's curves", lead + figures))
    _write_page(path, f"{sweep['name']}: verified front", parts)


def _write_page(path: Path | str, title: str, parts: Sequence[str], *, faces: int = 1) -> None:
    """Fill the template, with so many faces in a row of the contact sheet, and write it."""
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=_text(title), plotly=plotly.offline.get_plotlyjs(), faces=faces, body="\n".join(parts)
    )
    replace_file(Path(path), lambda new: new.write_text(page, encoding="utf-8"))


def _curse(before: Sequence[Row], after: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Say by how much the search was too hopeful: the winner's curse, and attackers that it did not meet."""
    told = []
    for name in objectives:
        change = [
            new[name] - old[name]
            for old, new in zip(before, after, strict=True)
            if old["method"] not in ANCHORS and old.get(name) is not None and new.get(name) is not None
        ]
        if change:
            told.append(f"{name} by {sum(change) / len(change):+.3f}")
    volumes = [number(front_hypervolume(rows, objectives)) for rows in (before, after)]
    moved = f"On average {' and '.join(told)} moved from search to verification, anchors aside. " if told else ""
    return f"{moved}Hypervolume of these configurations: {volumes[0]} as searched, {volumes[1]} as verified."


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
    return lead + _table(head, body, 1)


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
        (str(len(front)), "configurations on the front"),
        (number(front_hypervolume(rows, sweep["objectives"])), "hypervolume"),
        (str(sweep["protocol"].get("n_people", "–")), "people to be identified"),
        (str(len(failed)), "failures"),
    ]
    tiles = "".join(f"<div><b>{_text(value)}</b><span>{_text(name)}</span></div>" for value, name in facts)
    notes = "".join(f"<p class='warn'>{_text(note)}</p>" for note in sweep.get("notes", ()))
    return (
        f"<h1>{_text(sweep['name'])}</h1><p class='lead'>How much identity can be removed from a face while its "
        f"expression stays readable? Space {_text(sweep['space'])}, faces "
        f"{_text(sweep['protocol'].get('name', '–'))}, {_text(sweep['created'])}.</p>{notes}"
        f"<div class='numbers'>{tiles}</div>"
    )


def _reading(objectives: Mapping[str, str]) -> str:
    """Explain figure and table in one paragraph."""
    sides = [
        f"<code>{_text(name)}</code> ({_text(METRICS[name].description.rstrip('.'))}; "
        f"{'lower' if way == 'min' else 'higher'} is better)"
        for name, way in objectives.items()
    ]
    return (
        f"Each point is one configuration of an anonymizer, measured by {' and '.join(sides)}. Large points with bars "
        "are on the front: no other trial is at least as good in every objective and better in one. Bars and brackets "
        "are 95 % intervals over people. <code>front_probability</code> is the share of bootstrap draws of people in "
        "which nothing dominates the configuration; one near 0.5 may owe its place to luck. The front is the best of "
        "many noisy measurements and therefore optimistic. The anchors, unchanged faces and a black picture, mark the "
        "two ends; chance is what guessing among the enrolled people reaches."
    )


def _listed(rows: Sequence[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Return the rows that are complete in the objectives, the anchors at the two ends."""
    complete = [row for row in rows if row["status"] == "complete" and all(row.get(n) is not None for n in objectives)]
    return sorted(complete, key=lambda row: {"identity": -1, "blackout": 1}.get(row["method"], 0))


def _front_table(front: Sequence[Row], objectives: Mapping[str, str]) -> str:
    """Write the front, and every metric of it to unfold."""
    if not front:
        return "<p>No trial is complete with every objective measured, so there is no front.</p>"
    further = measured_columns(front, (name for name in KEY_COLUMNS if name not in objectives))
    every = measured_columns(front, METRICS)
    tables = []
    for columns in ([*objectives, "front_probability", *further], ["front_probability", *every]):
        body = [[_name(row), *(with_interval(row, name) for name in columns), str(row["trial"])] for row in front]
        tables.append(_table(["configuration", *columns, "trial"], body, 1))
    return f"{tables[0]}<details><summary>Every metric</summary>{tables[1]}</details>"


def _contact(contact: ContactSheet) -> str:
    """Write the faces as a grid of PNG pictures."""
    cells = []
    for label, faces in zip(contact.labels, contact.images, strict=True):
        cells.append(f"<span>{_text(label)}</span>")
        cells += [
            f"<img alt='{_text(label)}, face {place + 1}' src='{_png(face)}'>" for place, face in enumerate(faces)
        ]
    return f"<div class='wide'><div class='sheet'>{''.join(cells)}</div></div>"


def _png(face: NDArray[np.uint8]) -> str:
    """Encode an (H, W, 3) uint8 picture as a data URI."""
    file = io.BytesIO()
    Image.fromarray(face).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _figure(name: str, figure: go.Figure) -> str:
    """Write a figure without plotly itself, which stands once in the head."""
    config = {"responsive": True, "displaylogo": False}
    drawn: str = plotly.io.to_html(figure, config, include_plotlyjs=False, full_html=False, div_id=f"figure-{name}")
    return f"<figure>{drawn}</figure>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>"


def _table(head: Sequence[str], body: Sequence[Sequence[str]], texts: int) -> str:
    """Write a table whose first columns are texts; the interval of a number goes below it."""

    def cell(place: int, value: str) -> str:
        if place < texts:
            return f"<td class='text{' long' if place == 2 else ''}'>{_text(value)}</td>"
        value, _, interval = value.partition(" ")
        return f"<td>{_text(value)}{f'<small>{_text(interval)}</small>' if interval else ''}</td>"

    def title(name: str) -> str:
        return f" title='{_text(METRICS[name].description)}'" if name in METRICS else ""

    top = "".join(
        f"<th{' class=text' if place < texts else ''}{title(name)}>{_text(name)}</th>"
        for place, name in enumerate(head)
    )
    lines = "".join(f"<tr>{''.join(cell(place, value) for place, value in enumerate(line))}</tr>" for line in body)
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def _facts(facts: Any) -> str:
    """Write JSON-able facts, nested ones as tables within the table."""
    if isinstance(facts, Mapping):
        lines = "".join(f"<tr><th>{_text(name)}</th><td>{_facts(value)}</td></tr>" for name, value in facts.items())
        return f"<div class='wide'><table class='facts'>{lines}</table></div>" if lines else "–"
    if isinstance(facts, list | tuple):
        return "<br>".join(_facts(value) for value in facts) if facts else "–"
    return "–" if facts is None else _text(number(facts))


def _demo_sentence(sweep: Mapping[str, Any]) -> str:
    """Say so plainly if the networks are the demo's."""
    if "demo" not in str(sweep["models"]).lower():
        return ""
    return (
        "<p class='warn'>These are demo networks, small ones made for rendered faces. The numbers show that the "
        "program works; they say nothing about real people or real attackers.</p>"
    )


def _name(row: Mapping[str, Any]) -> str:
    """Name a configuration."""
    name = name_of(row)
    return f"{name} ({ANCHORS[row['method']]})" if row["method"] in ANCHORS else name


def _text(value: Any) -> str:
    """Escape a text for HTML and its attributes."""
    return html.escape(str(value))
