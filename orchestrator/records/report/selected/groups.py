"""Groups: the rates of each group of people, where a table says who is in which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluators.datasets.protocol import LEAST_PEOPLE
from evaluators.datasets.sources.groups import told_groups
from orchestrator.records.report.drawing import MOST_DRAWN, spread_out
from orchestrator.records.report.page import name_cell, table_block, text_cell
from orchestrator.records.tables import GROUP_FIGURES, Details
from orchestrator.records.trials import Row
from orchestrator.records.wording import number


def groups_block(front: Sequence[Row], details: Details, protocol: Mapping[str, Any], first: str) -> str:
    """Write the figures of each group under each configuration of the front; empty without groups.

    Args:
        front: flat rows of the front.
        details: of its trials.
        protocol: facts, with the number of people of each group.
        first: metric by which a long front is thinned.
    """
    enough, few = told_groups(protocol)
    rows = [row for row in front if details.get(row["trial"], {}).get("groups")]
    if not rows or not (enough or few):
        return ""
    lead = (
        "<p class='lead'>Rank-1 of each group's strongest attacker, who searches among all enrolled people, and the "
        "share of the expression that is kept, with 95 % intervals over the people of the group. Groups are told apart "
        "where their intervals do not overlap; with many groups some do not by chance.</p>"
    )
    if few:
        named = ", ".join(f"{attribute} {group} ({count})" for attribute, group, count in few)
        lead += f"<p class='warn'>Fewer than {LEAST_PEOPLE} people, too few for a rate: {text_cell(named)}.</p>"
    if unknown := protocol.get("n_people_without_group"):
        lead += f"<p>{unknown} of {protocol.get('n_people', '–')} people are not in the table of groups.</p>"
    shown = spread_out(rows, first)
    if len(shown) < len(rows):
        lead += f"<p>{MOST_DRAWN} of {len(rows)} configurations, spread evenly; groups.parquet has all.</p>"
    for attribute in dict.fromkeys(one[0] for one in enough):
        own = [one for one in enough if one[0] == attribute]
        lead += f"<h3>{text_cell(attribute)}</h3>{_table(attribute, own, shown, details)}"
    return lead


def _table(
    attribute: str,
    groups: Sequence[tuple[str, str, int]],
    rows: Sequence[Row],
    details: Details,
) -> str:
    head = ["trial", "configuration"]
    head += [f"{name}: {group}, {count} people" for name in GROUP_FIGURES for _, group, count in groups]
    body = []
    for row in rows:
        own = details[row["trial"]]["groups"].get(attribute, {})
        told = [with_ends(own.get(group, {}).get(name)) for name in GROUP_FIGURES for _, group, _ in groups]
        body.append([str(row["trial"]), name_cell(row), *told])
    return table_block(head, body, 2, rows)


def clicked_groups(one: Mapping[str, Any]) -> list[list[str]]:
    """Return what a click shows of a trial: group, rank-1 and share kept."""
    return [
        [f"{attribute}: {group}", *(with_ends(found.get(name)) for name in GROUP_FIGURES)]
        for attribute, groups in one.get("groups", {}).items()
        for group, found in groups.items()
    ]


def with_ends(figure: Sequence[float] | None) -> str:
    """Write a value with the ends of its interval."""
    if figure is None:
        return "–"
    value, low, high = figure
    return f"{number(float(value))} [{number(float(low))}, {number(float(high))}]"
