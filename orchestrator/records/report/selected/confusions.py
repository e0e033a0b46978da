"""Confusions: what is read of each expression on the released faces of the selected configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("confusions.js")
LEAD = (
    "Of the selected configuration, and of any on the front that is clicked: for each judge who names expressions, a "
    "row for each that he names on the clear face (for labels: that people gave), and how the readers of the released "
    "faces share it out. The adapted reader knows the method, the shown one has seen faces alone. A row sums to 1, n "
    "are its faces; what lies off the diagonal is what is lost, and to what."
)


def confusions_facts(details: Mapping[int, Mapping[str, Any]], panel: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script needs: the names of the classes of each judge, and counts by trial, judge and reader.

    Args:
        details: of trials.
        panel: facts of the panel; names the classes.
    """
    named = panel.get("judges_classes", {})
    found = {
        str(trial): {judge: read for judge, read in one["confusions"].items() if judge in named}
        for trial, one in details.items()
        if one.get("confusions")
    }
    return {"classes": named, "trials": found}


def confusions_block(facts: Mapping[str, Any]) -> str:
    """Write where the script draws; empty where nothing was counted."""
    if not facts["trials"]:
        return ""
    script = SCRIPT.read_text(encoding="utf-8")
    return (
        f"<p class='lead'>{LEAD}</p><p id='confusions-of' aria-live='polite'></p>"
        f"<div id='confusions'></div><script>{script}</script>"
    )
