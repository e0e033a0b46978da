"""Parallel coordinates of hyperparameters and objectives, one drawing for each method.

Drawn as lines of SVG: plotly's own kind wants WebGL, which not every browser that shows a report has.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from orchestrator.records.report.drawing import INK, layout, spread_out
from orchestrator.records.trials import Row, hyperparameters
from orchestrator.records.wording import ANCHORS, name_of, number

LEAST = 5
"""Trials of a method that make a drawing."""
SHADES = 6
"""Colors of the first objective; each is one trace."""


@dataclass(frozen=True)
class Axis:
    """Hold one axis: its name, the place of each trial on it, in [0, 1], and what stands at some places."""

    name: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def parallel_figure(rows: Sequence[Row], objectives: Mapping[str, str]) -> go.Figure | None:
    """Draw every complete trial of a method as a line over its hyperparameters and objectives; a menu has the methods.

    Args:
        rows: flat rows.
        objectives: metric name -> "min" or "max"; the first is the color.

    Returns:
        The figure; None where no method has LEAST trials and something that varies.
    """
    first = next(iter(objectives))
    figure = go.Figure()
    drawn: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] not in ANCHORS):
        own = [r for r in rows if r["method"] == method and all(r.get(name) is not None for name in objectives)]
        fields = hyperparameters(own[0]) if own else {}
        varied = [name for name in fields if len({str(hyperparameters(row).get(name)) for row in own}) > 1]
        if len(own) < LEAST or not varied:
            continue
        own = spread_out(own, first)
        axes = [axis_of(name, [hyperparameters(row).get(name) for row in own]) for name in varied]
        axes += [axis_of(name, [row[name] for row in own]) for name in objectives]
        traces = _traces(own, axes, first)
        for trace in traces:
            figure.add_trace(trace.update(visible=not drawn))
        drawn[method] = (len(traces), _annotations(axes))
    if not drawn:
        return None
    buttons = []
    for method, (_, notes) in drawn.items():
        shown = [other == method for other, (count, _) in drawn.items() for _ in range(count)]
        layout_of = {"annotations": notes, "xaxis.range": [-0.3, _axes_of(notes) - 0.7]}
        buttons.append({"label": html.escape(method), "method": "update", "args": [{"visible": shown}, layout_of]})
    notes = next(iter(drawn.values()))[1]
    common = layout("", "", {})
    figure.update_layout(**{key: value for key, value in common.items() if key not in ("xaxis", "yaxis", "margin")})
    bare = {"showgrid": False, "showticklabels": False, "zeroline": False, "ticks": ""}
    figure.update_layout(
        height=440,
        margin={"l": 24, "r": 24, "t": 90, "b": 40},
        showlegend=False,
        annotations=notes,
        xaxis={**bare, "range": [-0.3, _axes_of(notes) - 0.7]},
        yaxis={**bare, "range": [-0.06, 1.12]},
        updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.3, "yanchor": "top"}],
    )
    return figure


def axis_of(name: str, values: Sequence[Any]) -> Axis:
    """Place values on an axis: numbers between the least and the largest, words at even distances."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        places = tuple((value - low) / (high - low) if high > low else 0.5 for value in values)
        return Axis(name, places, ((0.0, number(low)), (1.0, number(high))) if high > low else ((0.5, number(low)),))
    words = sorted({str(value) for value in values})
    at = {word: place / max(1, len(words) - 1) for place, word in enumerate(words)}
    return Axis(name, tuple(at[str(value)] for value in values), tuple((place, word) for word, place in at.items()))


def _traces(rows: Sequence[Row], axes: Sequence[Axis], first: str) -> list[go.Scatter]:
    """Draw the axes, and the trials in a few shades of their first objective."""
    upright: list[Any] = [x for place in range(len(axes)) for x in (place, place, None)]
    ends: list[Any] = [0, 1, None] * len(axes)
    bars = go.Scatter(x=upright, y=ends, mode="lines", line={"color": INK, "width": 1}, hoverinfo="skip")
    low, high = min(row[first] for row in rows), max(row[first] for row in rows)
    shade = [min(SHADES - 1, int(SHADES * (row[first] - low) / ((high - low) or 1))) for row in rows]
    colors = sample_colorscale("Viridis", [n / (SHADES - 1) for n in range(SHADES)])
    traces = [bars]
    for number_of, color in enumerate(colors):
        own = [place for place, value in enumerate(shade) if value == number_of]
        if not own:
            continue
        x, y, text, trials = [], [], [], []
        for place in own:
            row = rows[place]
            x += [*range(len(axes)), None]
            y += [*(axis.places[place] for axis in axes), None]
            text += [f"{html.escape(name_of(row))} (trial {row['trial']})"] * (len(axes) + 1)
            trials += [row["trial"]] * (len(axes) + 1)
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                text=text,
                customdata=trials,
                mode="lines+markers",
                line={"color": color, "width": 1.3},
                marker={"size": 5, "color": color},
                hovertemplate="%{text}<extra></extra>",
            )
        )
    return traces


def _annotations(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Write the names above the axes, and what stands at their places."""
    common = {"showarrow": False, "font": {"size": 12, "color": INK}}
    notes = [{**common, "x": x, "y": 1.09, "text": f"<b>{html.escape(axis.name)}</b>"} for x, axis in enumerate(axes)]
    return notes + [
        {**common, "x": x, "y": y, "text": html.escape(text), "xanchor": "right", "xshift": -6}
        for x, axis in enumerate(axes)
        for y, text in axis.ticks
    ]


def _axes_of(notes: Sequence[Mapping[str, Any]]) -> int:
    return 1 + int(max(note["x"] for note in notes))
