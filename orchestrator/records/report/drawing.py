"""What the figures of the report have in common: points with their intervals, what hangs over them, axes and colors."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, name_of, strongest, with_interval

# Okabe and Ito's palette, told apart by the colour-blind too (https://jfly.uni-koeln.de/color/, 2008); no yellow, which
# is lost on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7570b3")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star")
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_DRAWN = 60
"""Points of one kind in a figure at most, spread evenly along its first axis; each has a text of two kilobytes."""
HOVERED = ("rank1_worst", "rank1_fixed", "expression_kept", "expression_kappa_adapted", "st_lpips")
"""Metrics shown over a point besides those of the axes; the tables have the others."""
INK, GRID = "#7c8591", "rgba(128, 136, 148, 0.22)"


def hover(row: Mapping[str, Any], axes: Sequence[str] = ()) -> str:
    """Write what is shown over a point, as HTML with all texts escaped: few lines, or they would cover the figure.

    Args:
        row: flat.
        axes: metrics that are drawn; the key ones are shown besides.
    """
    name = name_of(row)
    lines = [f"<b>{html.escape(name)}</b> (trial {row['trial']}, {html.escape(row['status'])})"]
    names = [m for m in dict.fromkeys((*axes, *HOVERED)) if m in METRICS and row.get(m) is not None]
    lines += [f"{html.escape(m)}: {with_interval(row, m)}" for m in names]
    if who := strongest(row, ATTACKERS):
        lines.append(f"strongest attacker: {html.escape(who)}")
    return "<br>".join(lines)


def point_layers(
    rows: Sequence[Row],
    method: str,
    place: int,
    axes: Sequence[str],
    strong: bool,
    legend: bool,
    scale: Mapping[str, Any] | None,
) -> go.Scatter:
    """Draw rows of one method: strong with error bars where they are on the front, faint behind it otherwise."""
    x, y, *further = axes
    rows = spread_out(rows, x)
    color = COLORS[place % len(COLORS)]
    anchor = method in ANCHORS
    marker: dict[str, Any] = {
        "symbol": symbol_of(method, place),
        "size": (15 if anchor else 11) if strong else 8,
        "opacity": 1.0 if strong else 0.45,
        "color": [row[further[0]] for row in rows] if scale else color,
        "line": {"width": 1 if strong else 0, "color": "rgba(255, 255, 255, 0.85)"},
    }
    if scale:
        marker["coloraxis"] = "coloraxis"
    return go.Scatter(
        x=[row[x] for row in rows],
        y=[row[y] for row in rows],
        mode="markers",
        name=html.escape(method),
        legendgroup=html.escape(method),
        showlegend=legend,
        marker=marker,
        error_x=bars(rows, x, color) if strong else None,
        error_y=bars(rows, y, color) if strong else None,
        text=[hover(row, axes) for row in rows],
        customdata=[row["trial"] for row in rows],
        hovertemplate="%{text}<extra></extra>",
    )


def spread_out(rows: Sequence[Row], by: str, most: int = MOST_DRAWN) -> list[Row]:
    """Return at most so many rows, the ends among them, evenly by their rank in a metric; in their own order."""
    if len(rows) <= most:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda place: rows[place][by])
    kept = {order[round(n * (len(rows) - 1) / (most - 1))] for n in range(most)}
    return [row for place, row in enumerate(rows) if place in kept]


def symbol_of(method: str, place: int) -> str:
    """Return the symbol of a method."""
    return "star-diamond" if method in ANCHORS else SYMBOLS[place % len(SYMBOLS)]


def bars(rows: Sequence[Row], name: str, color: str) -> dict[str, Any] | None:
    """Return the intervals of a metric as plotly wants them: distances from the value."""
    if all(row.get(f"{name}_lo") is None for row in rows):
        return None
    # A percentile interval need not contain the value it belongs to; a bar of negative length is drawn as none.
    ends = [(row[name], row.get(f"{name}_lo"), row.get(f"{name}_hi")) for row in rows]
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, (value if high is None else high) - value) for value, _, high in ends],
        "arrayminus": [max(0.0, value - (value if low is None else low)) for value, low, _ in ends],
        "thickness": 1.2,
        "width": 3,
        "color": color,
    }


def steps_of(front: Sequence[Row], x: str, y: str, objectives: Mapping[str, str]) -> go.Scatter:
    """Draw the border of what the front dominates, as a staircase."""
    points = sorted((row[x], row[y]) for row in front)
    # Between two points the border keeps the worse y, and the y of the point with the better x is the worse one.
    return go.Scatter(
        x=[p[0] for p in points],
        y=[p[1] for p in points],
        mode="lines",
        line={"shape": "hv" if objectives[x] == "min" else "vh", "color": INK, "width": 1.5},
        name="front",
        hoverinfo="skip",
    )


def chance_line(figure: go.Figure, rows: Sequence[Row], x: str, y: str) -> None:
    """Draw where guessing among the enrolled people gets."""
    chances = [row["chance_rank1"] for row in rows if row.get("chance_rank1") is not None]
    line = {"line_dash": "dot", "line_color": INK, "line_width": 1}
    note = {"annotation_text": "chance", "annotation_font_color": INK, "annotation_font_size": 12}
    if chances and x.startswith("rank1_"):
        figure.add_vline(x=chances[0], **line, **note, annotation_position="top right")
    if chances and y.startswith("rank1_"):
        figure.add_hline(y=chances[0], **line, **note, annotation_position="bottom right")


def scale_of(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """Return the color axis of a third objective."""
    values = [row[name] for row in rows] or [0.0]
    return {
        "colorscale": "Viridis",
        "colorbar": {"title": name, "thickness": 14},
        "cmin": min(values),
        "cmax": max(values),
    }


def layout(x: str, y: str, objectives: Mapping[str, str]) -> dict[str, Any]:
    """Return what the figures have in common; transparent, so that they follow the page into the dark."""
    better = {"min": {"x": "← better", "y": "↓ better"}, "max": {"x": "better →", "y": "↑ better"}}

    def axis(name: str, letter: str) -> dict[str, Any]:
        word = better[objectives[name]][letter] if name in objectives else ""
        return {
            "title": {"text": f"{name}   {word}".strip()},
            "gridcolor": GRID,
            "zeroline": False,
            "linecolor": INK,
            "ticks": "outside",
            "tickcolor": GRID,
            "automargin": True,
        }

    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": INK},
        "margin": {"l": 56, "r": 16, "t": 28, "b": 56},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": INK},
        "hoverlabel": {"align": "left", "font": {"size": 11}},
        "legend": {"orientation": "h", "y": -0.16},
        "xaxis": axis(x, "x"),
        "yaxis": axis(y, "y"),
    }
