"""The page of a study: one HTML file with its pictures, that opens without a network and sends nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from orchestrator.records.files import replace_file

TEMPLATE = Path(__file__).with_name("page.html")
WITHOUT = (
    "Taking part is voluntary. You may stop at any time by closing the page, and nothing is kept of it but in this "
    "browser."
)
"""What stands where no text of consent was given."""


def write_page(path: Path, key: Mapping[str, Any], shown: Mapping[str, Sequence[str]], consent: str | None) -> None:
    """Write the page of a study; what would be right does not stand in it.

    Args:
        path: of the HTML file; it gets its name once it is whole.
        key: of the study.
        shown: name of a question -> data URIs of its one or two pictures.
        consent: text that participants agree to; None for a sentence that it is voluntary.
    """
    uris = sorted({uri for pictures in shown.values() for uri in pictures})
    place = {uri: n for n, uri in enumerate(uris)}
    data = {
        "study": key["study"],
        "consent": key["consent"],
        "classes": key["classes"],
        "groups": key["groups"],
        "items": {name: [place[uri] for uri in pictures] for name, pictures in shown.items()},
        "pictures": uris,
    }
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        consent=html.escape(consent or WITHOUT),
        data=json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
    )
    replace_file(path, lambda new: new.write_text(text, encoding="utf-8"))
