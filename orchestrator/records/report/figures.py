"""The figures of the report, with plotly. Every text that comes from outside is escaped for HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.stats import kendalltau

from orchestrator.records.front import front_rows
from orchestrator.records.report.drawing import (
    COLORS,
    GRID,
    INK,
    SYMBOLS,
    bars,
    chance_line,
    hover,
    layout,
    point_layers,
    scale_of,
    steps_of,
    symbol_of,
)
from orchestrator.records.trials import Row
from orchestrator.records.wording import ANCHORS, name_of

OVERRATED = 0.2
"""Rank-1 by which the strongest attacker exceeds the fixed one where the report says that privacy was overrated."""


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
        figure.add_trace(steps_of([row for row in front if row["trial"] in on_front], x, y, objectives))
    scale = scale_of(shown, further[0]) if further else None
    for place, method in enumerate(dict.fromkeys(row["method"] for row in shown)):
        for kept in (False, True):
            group = [r for r in shown if r["method"] == method and (r["trial"] in on_front) == kept]
            if group:
                alone = kept or not any(r["method"] == method and r["trial"] in on_front for r in shown)
                figure.add_trace(point_layers(group, method, place, (x, y, *further), kept, alone and not scale, scale))
        own = front_rows([row for row in shown if row["method"] == method], objectives)
        if len(objectives) == 2 and len(own) > 1 and method not in ANCHORS:
            steps = steps_of(own, x, y, objectives)
            steps.update(name=f"front of {html.escape(method)}", visible="legendonly")
            steps.line.update(color=COLORS[place % len(COLORS)], dash="dot")
            figure.add_trace(steps)
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
                error_x=bars(rows, name, color),
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
