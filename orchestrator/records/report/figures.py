"""The figures of the report, with plotly. Every text that comes from outside is escaped for HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.stats import kendalltau

from evaluators.attackers import ATTACKERS
from evaluators.metrics import METRICS
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, name_of, strongest, with_interval

# Okabe and Ito's palette, told apart by the colour-blind too (https://jfly.uni-koeln.de/color/, 2008); no yellow, which
# is lost on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7570b3")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star")
DASHES = ("solid", "dash", "dot", "dashdot")
OVERRATED = 0.2
"""Rank-1 by which the strongest attacker exceeds the fixed one where the report says that privacy was overrated."""
MOST_DRAWN = 100
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


def front_figure(rows: Sequence[Row], front: Sequence[Row], objectives: Mapping[str, str]) -> go.Figure:
    """Draw every trial and the front over the first two objectives; a third is the color.

    Args:
        rows: flat rows.
        front: those on the front.
        objectives: metric name -> "min" or "max".
    """
    x, y, *further = list(objectives) if len(objectives) > 1 else [*objectives, "trial"]
    shown = [row for row in rows if row["status"] != "failed" and all(row.get(n) is not None for n in (x, y, *further))]
    on_front = {row["trial"] for row in front}
    figure = go.Figure()
    if len(objectives) == 2:
        figure.add_trace(_steps([row for row in front if row["trial"] in on_front], x, y, objectives))
    scale = _scale(shown, further[0]) if further else None
    for place, method in enumerate(dict.fromkeys(row["method"] for row in shown)):
        for kept in (False, True):
            group = [r for r in shown if r["method"] == method and (r["trial"] in on_front) == kept]
            if group:
                alone = kept or not any(r["method"] == method and r["trial"] in on_front for r in shown)
                figure.add_trace(point_layers(group, method, place, (x, y, *further), kept, alone and not scale, scale))
        if scale:
            # Where color is a value, the legend tells the symbols only.
            sign = {"symbol": symbol_of(method, place), "color": INK, "size": 11}
            figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=sign, name=html.escape(method)))
    for row in shown:
        if row["method"] in ANCHORS:
            figure.add_annotation(
                x=row[x],
                y=row[y],
                text=ANCHORS[row["method"]],
                showarrow=False,
                yshift=17,
                xanchor="left" if row[x] < sum(r[x] for r in shown) / len(shown) else "right",
                font={"size": 12, "color": INK},
            )
    chance_line(figure, shown, x, y)
    figure.update_layout(**layout(x, y, objectives), height=560)
    if scale:
        figure.update_layout(coloraxis=scale)
    return figure


def attackers_figure(rows: Sequence[Row]) -> go.Figure | None:
    """Draw the fixed attacker's rank-1 against the strongest one's; None if no row has both.

    The height over the diagonal is the privacy that a fixed attacker reports and that is not there.
    """
    shown = [r for r in rows if r.get("rank1_fixed") is not None and r.get("rank1_worst") is not None]
    if not shown:
        return None
    figure = go.Figure(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "width": 1, "dash": "dash"}, hoverinfo="skip")
    )
    figure.update_traces(name="both find as many", showlegend=True)
    for place, method in enumerate(dict.fromkeys(row["method"] for row in shown)):
        group = [row for row in shown if row["method"] == method]
        figure.add_trace(point_layers(group, method, place, ("rank1_fixed", "rank1_worst"), True, True, None))
    figure.add_trace(
        go.Scatter(
            x=[0, 1 - OVERRATED],
            y=[OVERRATED, 1],
            mode="lines",
            line={"color": INK, "width": 1, "dash": "dot"},
            name=f"{OVERRATED} more",
            hoverinfo="skip",
        )
    )
    chance_line(figure, shown, "rank1_fixed", "rank1_worst")
    figure.update_layout(**layout("rank1_fixed", "rank1_worst", {}), height=480)
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.03, 1.03])
    return figure


def overrated(rows: Sequence[Row]) -> dict[str, tuple[int, int]]:
    """Count the trials whose strongest attacker's rank-1 exceeds the fixed one's by more than OVERRATED.

    Args:
        rows: flat rows.

    Returns:
        method -> (so many, of so many trials that have both rates), in the order of the rows; anchors stay out.
    """
    out: dict[str, tuple[int, int]] = {}
    for row in rows:
        fixed, worst = row.get("rank1_fixed"), row.get("rank1_worst")
        if row["method"] not in ANCHORS and fixed is not None and worst is not None:
            over, of = out.get(row["method"], (0, 0))
            out[row["method"]] = (over + (worst - fixed > OVERRATED), of + 1)
    return out


def side_by_side_figure(rows: Sequence[Row], objectives: Mapping[str, str]) -> go.Figure:
    """Draw every configuration of a fixed list in a line of its own, with its intervals, one panel per objective.

    Args:
        rows: complete flat rows, in the order in which they are drawn.
        objectives: metric name -> "min" or "max".
    """
    names = [html.escape(name_of(row)) for row in rows]
    figure = make_subplots(1, len(objectives), shared_yaxes=True, horizontal_spacing=0.04)
    for place, name in enumerate(objectives, 1):
        color = COLORS[place - 1]
        figure.add_trace(
            go.Scatter(
                x=[row[name] for row in rows],
                y=names,
                mode="markers",
                marker={"size": 10, "color": color, "symbol": SYMBOLS[place - 1]},
                error_x=_bars(rows, name, color),
                text=[hover(row, list(objectives)) for row in rows],
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
            ),
            1,
            place,
        )
        common = layout(name, "", objectives)["xaxis"]
        figure.update_xaxes(**common, row=1, col=place)
    whole = layout("", "", objectives)
    figure.update_layout(**{key: value for key, value in whole.items() if key not in ("xaxis", "yaxis")})
    figure.update_yaxes(autorange="reversed", gridcolor=GRID, automargin=True, ticks="")
    figure.update_layout(height=120 + 34 * len(rows))
    return figure


def hifd_figure(rows: Sequence[Row]) -> tuple[go.Figure, float] | None:
    """Draw the privacy that knows no attacker against the strongest attacker's rank-1.

    Args:
        rows: flat rows.

    Returns:
        The figure, and Kendall's tau (Biometrika 1938) between the two orders of privacy over all but the anchors: 1 if
        they agree. None with fewer than three such trials, or where one of the two is the same in all.
    """
    shown = [r for r in rows if r.get("hifd_privacy") is not None and r.get("rank1_worst") is not None]
    tried = [row for row in shown if row["method"] not in ANCHORS]
    if len(tried) < 3:
        return None
    tau = float(kendalltau([r["hifd_privacy"] for r in tried], [-r["rank1_worst"] for r in tried]).statistic)
    if math.isnan(tau):
        return None
    figure = go.Figure()
    for place, method in enumerate(dict.fromkeys(row["method"] for row in shown)):
        group = [row for row in shown if row["method"] == method]
        figure.add_trace(point_layers(group, method, place, ("hifd_privacy", "rank1_worst"), True, True, None))
    chance_line(figure, shown, "hifd_privacy", "rank1_worst")
    figure.update_layout(**layout("hifd_privacy", "rank1_worst", {"hifd_privacy": "max", "rank1_worst": "min"}))
    figure.update_layout(height=480)
    return figure, tau


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
        error_x=_bars(rows, x, color) if strong else None,
        error_y=_bars(rows, y, color) if strong else None,
        text=[hover(row, axes) for row in rows],
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


def _bars(rows: Sequence[Row], name: str, color: str) -> dict[str, Any] | None:
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


def _steps(front: Sequence[Row], x: str, y: str, objectives: Mapping[str, str]) -> go.Scatter:
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


def _scale(rows: Sequence[Row], name: str) -> dict[str, Any]:
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
