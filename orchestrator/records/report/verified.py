"""The report of a verification, and its figures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from evaluators.metrics import METRICS
from orchestrator.records.front import front_hypervolume
from orchestrator.records.report.drawing import (
    COLORS,
    DASHES,
    chance_line,
    hover,
    layout,
    point_layers,
    symbol_of,
)
from orchestrator.records.report.page import (
    facts_block,
    figure_block,
    name_cell,
    section,
    table_block,
    text_cell,
    write_page,
)
from orchestrator.records.report.searched import TRAINED_ON
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, measured_columns, name_of, number, strongest, with_interval


def write_verified(
    path: Path | str,
    sweep: Mapping[str, Any],
    before: Sequence[Row],
    after: Sequence[Row],
    curves: Sequence[Row] = (),
    differs: str = "",
) -> None:
    """Write the report of a verification: the front before and after, side by side.

    Args:
        path: of the HTML file; it gets its name once it is whole.
        sweep: facts about search and verification, as the metadata of `verified.parquet` has them.
        before: flat rows of the front as searched.
        after: the same configurations as verified, in the same order, with `on_front`.
        curves: rows of `curves.parquet`; without them their section is left out.
        differs: a sentence on what besides the draws differs between search and verification.
    """
    objectives: dict[str, str] = sweep["objectives"]
    stayed = sum(bool(row["on_front"]) for row in after)
    lead = (
        "<p class='lead'>The front of a search is the best of many noisy measurements. Open marks are what it "
        "measured; filled ones, with 95 % intervals over people, what other draws, other seeds and the attackers below "
        f"say of the same configurations. {stayed} of {len(after)} stay on the front. {TRAINED_ON} "
        f"{text_cell(_curse(before, after, objectives))}</p><p class='lead'>{text_cell(differs)}</p>"
    )
    head = ["configuration", *(f"{name}: {when}" for name in objectives for when in ("search", "verified"))]
    body = [
        [
            name_cell(old),
            *(with_interval(row, name) for name in objectives for row in (old, new)),
            "yes" if new["on_front"] else "no",
        ]
        for old, new in zip(before, after, strict=True)
    ]
    every = measured_columns(after, METRICS)
    rest = [[name_cell(row), *(with_interval(row, name) for name in every)] for row in after]
    parts = [
        f"<h1>{text_cell(sweep['name'])}, verified</h1>{lead}",
        figure_block("verified", verified_figure(before, after, objectives)),
        section("Search and verification", table_block([*head, "on the front"], body, 1)),
        f"<details><summary>Every metric</summary>{table_block(['configuration', *every], rest, 1)}</details>",
        section("Verification", facts_block(sweep["verified"])),
    ]
    if curves:
        lead = (
            "<p class='lead'>Of each configuration's strongest attacker: the share of faces whose person is among his "
            "k best names, and the share of genuine pairs that he accepts where he accepts so many impostors.</p>"
        )
        figures = "".join(figure_block(kind, curves_figure(curves, after, kind)) for kind in ("cmc", "roc"))
        parts.insert(2, section("The strongest attacker's curves", lead + figures))
    write_page(path, f"{sweep['name']}: verified front", parts)


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


def verified_figure(before: Sequence[Row], after: Sequence[Row], objectives: Mapping[str, str]) -> go.Figure:
    """Draw where the search saw each configuration of its front, and where the verification sees it.

    Args:
        before: flat rows of the front as searched.
        after: the same configurations as verified, in the same order, with `on_front`.
        objectives: metric name -> "min" or "max"; the first two are drawn.
    """
    x, y, *_ = objectives
    figure = go.Figure()
    pairs = [
        (old, new)
        for old, new in zip(before, after, strict=True)
        if all(row.get(name) is not None for row in (old, new) for name in (x, y))
    ]
    for place, method in enumerate(dict.fromkeys(old["method"] for old, _ in pairs)):
        group = [pair for pair in pairs if pair[0]["method"] == method]
        color = COLORS[place % len(COLORS)]
        ways_x = [value for old, new in group for value in (old[x], new[x], None)]
        ways_y = [value for old, new in group for value in (old[y], new[y], None)]
        name = html.escape(method)
        figure.add_trace(
            go.Scatter(
                x=ways_x,
                y=ways_y,
                mode="lines",
                line={"color": color, "width": 1.2},
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[old[x] for old, _ in group],
                y=[old[y] for old, _ in group],
                mode="markers",
                name=f"{name}, search",
                legendgroup=name,
                marker={"symbol": f"{symbol_of(method, place)}-open", "size": 9, "color": color},
                text=[hover(old) for old, _ in group],
                hovertemplate="%{text}<extra>search</extra>",
            )
        )
        figure.add_trace(point_layers([new for _, new in group], method, place, (x, y), True, True, None))
    chance_line(figure, [new for _, new in pairs], x, y)
    figure.update_layout(**layout(x, y, objectives), height=560)
    return figure


def curves_figure(curves: Sequence[Row], rows: Sequence[Row], kind: str) -> go.Figure:
    """Draw a curve of each configuration's strongest attacker.

    Args:
        curves: `trial`, `attacker`, `kind`, `x`, `y`, one point each.
        rows: flat rows of the same trials.
        kind: "cmc" or "roc".
    """
    figure = go.Figure()
    drawn: dict[tuple[int, str], list[Row]] = {}
    for point in curves:
        if point["kind"] == kind:
            drawn.setdefault((point["trial"], point["attacker"]), []).append(point)
    for place, row in enumerate(rows):
        who = strongest(row, [attacker for trial, attacker in drawn if trial == row["trial"]])
        if not who:
            continue
        points = drawn[row["trial"], who]
        name = html.escape(name_of(row))
        figure.add_trace(
            go.Scatter(
                x=[c["x"] for c in points],
                y=[c["y"] for c in points],
                mode="lines",
                name=f"{name} ({html.escape(who)})",
                line={"color": COLORS[place % len(COLORS)], "width": 1.5, "dash": DASHES[place // len(COLORS) % 4]},
            )
        )
    x, y = {"cmc": ("k", "rank-k rate"), "roc": ("false accept rate", "true accept rate")}[kind]
    figure.update_layout(**layout(x, y, {}), height=480)
    figure.update_layout(legend={"orientation": "h", "y": -0.28})
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    return figure
