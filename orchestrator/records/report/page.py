"""The bricks of a page: sections, tables, pictures, the template."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.offline
from numpy.typing import NDArray
from PIL import Image

from evaluators.metrics import METRICS
from orchestrator.records.files import replace_file
from orchestrator.records.wording import ANCHORS, name_of, number

TEMPLATE = Path(__file__).with_name("template.html")
SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("pdf.js", "save.js"))
QUALITY = 80
"""Of the faces in a page, by WebP."""
SAVED = ("png", "svg", "pdf")
"""What a figure can be saved as, by its reader, without a network or a program."""


def write_page(path: Path | str, title: str, parts: Sequence[str], *, faces: int = 1) -> None:
    """Fill the template, with so many faces in a row of the contact sheet, and write it.

    Plotly, which takes a browser most of a second, stands where the first figure is: what is above is shown before.
    """
    body = "\n".join(parts).replace("<figure>", f"<script>{plotly.offline.get_plotlyjs()}</script><figure>", 1)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=text_cell(title),
        faces=faces,
        body=body,
        scripts="\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS),
    )
    replace_file(Path(path), lambda new: new.write_text(page, encoding="utf-8"))


def picture_uri(face: NDArray[np.uint8]) -> str:
    """Encode an (H, W, 3) uint8 picture as a data URI, a tenth as large as one that loses nothing."""
    file = io.BytesIO()
    Image.fromarray(face).save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def figure_block(name: str, figure: go.Figure) -> str:
    """Write a figure without plotly itself, which stands once, before the first."""
    config = {"responsive": True, "displaylogo": False}
    drawn: str = plotly.io.to_html(figure, config, include_plotlyjs=False, full_html=False, div_id=f"figure-{name}")
    buttons = " ".join(f"<button type='button' data-save='{kind}'>{kind.upper()}</button>" for kind in SAVED)
    save = f"<figcaption class='save' data-figure='{name}'>Save as {buttons} <output></output></figcaption>"
    return f"<figure>{drawn}{save}</figure>"


def section(title: str, body: str) -> str:
    """Put a title above a body of HTML."""
    return f"<section><h2>{text_cell(title)}</h2>{body}</section>"


def table_block(
    head: Sequence[str], body: Sequence[Sequence[str]], texts: int, rows: Sequence[Mapping[str, Any]] | None = None
) -> str:
    """Write a table whose first columns are texts; the interval of a number goes below it.

    Args:
        head: of the columns.
        body: one list of cells for each line.
        texts: columns of text at the left.
        rows: trials that the lines are of, which a click then shows and the choice of methods hides.
    """

    def cell(place: int, value: str) -> str:
        if place < texts:
            return f"<td class='text{' long' if place == 2 else ''}'>{text_cell(value)}</td>"
        value, _, interval = value.partition(" ")
        return f"<td>{text_cell(value)}{f'<small>{text_cell(interval)}</small>' if interval else ''}</td>"

    def title(name: str) -> str:
        return f" title='{text_cell(METRICS[name].description)}'" if name in METRICS else ""

    top = "".join(
        f"<th{' class=text' if place < texts else ''}{title(name)}>{text_cell(name)}</th>"
        for place, name in enumerate(head)
    )
    whose = [""] * len(body)
    if rows is not None:
        whose = [
            f" data-trial='{text_cell(row['trial'])}' data-method='{text_cell(row['method'])}' tabindex='0'"
            for row in rows
        ]
    lines = "".join(
        f"<tr{of}>{''.join(cell(place, value) for place, value in enumerate(line))}</tr>"
        for of, line in zip(whose, body, strict=True)
    )
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def facts_block(facts: Any) -> str:
    """Write JSON-able facts, nested ones as tables within the table."""
    if isinstance(facts, Mapping):
        lines = "".join(
            f"<tr><th>{text_cell(name)}</th><td>{facts_block(value)}</td></tr>" for name, value in facts.items()
        )
        return f"<div class='wide'><table class='facts'>{lines}</table></div>" if lines else "–"
    if isinstance(facts, list | tuple):
        return "<br>".join(facts_block(value) for value in facts) if facts else "–"
    return "–" if facts is None else text_cell(number(facts))


def name_cell(row: Mapping[str, Any]) -> str:
    """Name a configuration."""
    name = name_of(row)
    return f"{name} ({ANCHORS[row['method']]})" if row["method"] in ANCHORS else name


def text_cell(value: Any) -> str:
    """Escape a text for HTML and its attributes."""
    return html.escape(str(value))
