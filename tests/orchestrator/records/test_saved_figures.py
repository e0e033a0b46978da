"""Figures saved from the page as PNG, SVG and PDF, in a browser, without a request."""

from __future__ import annotations

import re
import time
import zlib
from pathlib import Path
from xml.etree import ElementTree

import plotly.graph_objects as go
import pytest
from PIL import Image

from orchestrator.records.report.page import figure_block, write_page
from tests.helpers.browser import Page, browsing

pytestmark = pytest.mark.slow
STRANGE = "名前 (ж)"


def saved(page: Page, folder: Path, name: str, kind: str) -> Path:
    page.click(f".save[data-figure='{name}'] button[data-save='{kind}']")
    path = folder / f"{name}.{kind}"
    until = time.monotonic() + 60
    while not (path.is_file() and path.stat().st_size):
        said = page.value(f"document.querySelector(\".save[data-figure='{name}'] output\").textContent")
        assert not said and time.monotonic() < until, said or f"{path.name} never came"
        time.sleep(0.05)
    return path


def objects(data: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Read a PDF by its table: number -> what an object says, and its stream, unpacked."""
    assert data.startswith(b"%PDF-1.4\n") and data.endswith(b"%%EOF\n")
    at = int(re.findall(rb"startxref\n(\d+)\n", data)[0])
    lines = data[at:].splitlines()
    count = int(lines[1].split()[1])
    assert lines[0] == b"xref" and lines[2] == b"0000000000 65535 f " and f"/Size {count}".encode() in data[at:]
    found = {}
    for number, line in enumerate(lines[3 : 2 + count], start=1):
        start = int(line[:10])
        body = data[start:]
        assert body.startswith(b"%d 0 obj\n" % number) and len(line) == 19  # twenty with its end
        head, _, rest = body.partition(b"\n")[2].partition(b"\n")
        stream = b""
        if length := re.search(rb"/Length (\d+)", head):
            assert rest.startswith(b"stream\n") and rest[7 + int(length[1]) :].startswith(b"\nendstream\nendobj\n")
            stream = zlib.decompress(rest[7 : 7 + int(length[1])])
        else:
            assert rest.startswith(b"endobj\n")
        found[number] = head, stream
    return found


def texts(content: bytes) -> list[str]:
    """Return the texts of a page, their escapes undone, by the fonts' own numbers."""
    return [
        re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]), text).decode("cp1252")
        for text in re.findall(rb"Tm \((.*?)\) Tj ET", content)
    ]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    figure = go.Figure(
        layout={"template": "none", "xaxis": {"title": {"text": "rank1_worst   ← better"}}, "height": 400}
    )
    for n, symbol in enumerate(("circle", "square", "star-diamond")):
        figure.add_trace(
            go.Scatter(
                x=[0.1, 0.5 + n / 10],
                y=[n, n + 1],
                mode="markers",
                marker={"symbol": symbol, "opacity": 0.5},
                name=f"method {n}",
            )
        )
    figure.add_trace(
        go.Scatter(x=[0, 1], y=[0, 3], mode="lines", line={"dash": "dot", "shape": "hv"}, name="a <b>bold</b> – line")
    )
    figure.add_trace(go.Scatter(x=[0.3], y=[1], mode="markers", name=STRANGE, marker={"color": "#009e73"}))
    colors = {"color": [0, 1], "colorscale": "Viridis", "showscale": True}
    figure.add_trace(go.Scatter(x=[0.2, 0.4], y=[2, 2], mode="markers", marker=colors, name="colored"))
    figure.update_yaxes(title={"text": "expression (kept) \\ ≥ 0 Ä"})
    path = tmp_path_factory.mktemp("saved") / "page.html"
    write_page(path, "Größe 名", [figure_block("front", figure)])
    return path


def test_every_kind_is_saved_and_is_what_it_says(page_file: Path, tmp_path: Path) -> None:
    with browsing(tmp_path) as page:
        page.command("Emulation.setDeviceMetricsOverride", width=1000, height=700, deviceScaleFactor=1, mobile=False)
        page.open(page_file)
        wide = page.value("document.getElementById('figure-front').clientWidth")
        png, svg, pdf = (saved(page, tmp_path, "front", kind) for kind in ("png", "svg", "pdf"))
        assert page.complaints == []
        assert [one for one in page.requests if not one.startswith(("file:", "data:", "blob:"))] == []
    with Image.open(png) as picture:
        assert picture.size == (3 * wide, 1200)
    drawn = ElementTree.fromstring(svg.read_text())
    assert "rank1_worst   ← better" in "".join(drawn.itertext()) and STRANGE in "".join(drawn.itertext())
    found = objects(pdf.read_bytes())
    page_head, content = found[3][0], found[4][1]
    assert f"/MediaBox [0 0 {wide * 0.75:g} 300]".encode() in page_head
    said = texts(content)
    for text in ("rank1_worst   ", " better", "method 0", "method 2", "bold", "expression (kept) \\ ", " 0 Ä"):
        assert text in [one.replace("\\(", "(") for one in said], (text, said)
    assert len(re.findall(rb"/S [\d.]+ Tf", content)) == 2  # the arrow and the sign for "at least"
    assert re.search(rb"/B [\d.]+ Tf [^(]*\(bold\)", content)
    # The one name that no font of a PDF reader has is a picture with as many dots as it is long.
    pictures = [(head, stream) for head, stream in found.values() if b"/Subtype /Image" in head]
    assert len(pictures) == 4 and content.count(b" Do") == 2  # two runs of signs, each with its mask
    for head, stream in pictures:
        width, height = (int(re.findall(rb"/%s (\d+)" % side, head)[0]) for side in (b"Width", b"Height"))
        assert len(stream) == width * height * (3 if b"DeviceRGB" in head else 1) and any(stream)
    # Seven marks and four in the legend; the round ones of four curves each, the dotted line dotted.
    assert content.count(b" c ") >= 4 and re.search(rb"w \[[\d. ]+\] 0 d", content)
    # The color bar: a gradient of Viridis' ten colors.
    assert (
        content.count(b"/F0 sh") == 1
        and page_head.count(b"/FunctionType 2") == 9
        and b"/C0 [0.267 0.004 0.329]" in page_head
    )
    assert b"/ca 0.5" in page_head and "Größe 名".encode("utf-16-be").hex().encode() in found[max(found)][0]


def test_what_cannot_be_made_is_said(page_file: Path, tmp_path: Path) -> None:
    with browsing(tmp_path) as page:
        page.open(page_file)
        drawing = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><polygon points='1,1 2,2 3,1'/></svg>"
        page.value(f"Plotly.toImage = async () => 'data:image/svg+xml,' + encodeURIComponent({drawing!r})")
        page.click(".save[data-figure='front'] button[data-save='pdf']")
        page.wait("document.querySelector('.save output').textContent !== ''")
        said = page.value("document.querySelector('.save output').textContent")
    assert said == "front.pdf could not be made: the drawing has a polygon"
