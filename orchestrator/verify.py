"""Measure a front again: `python -m orchestrator.verify RESULTS`.

The front of a search is the best of many noisy draws, and the search may have adapted to its attackers. Here its
configurations meet other people, other seeds and an embedder that the search never saw.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluators.attackers import ATTACKERS
from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import Networks, check_networks, networks_of
from evaluators.panel import CannotLearnError, Panel
from orchestrator.records.arrow.encoding import batch_of, flat_table, ledger_schema
from orchestrator.records.files import replace_file
from orchestrator.records.front import front_mask, front_probability, objective_values
from orchestrator.records.report.verified import strongest, write_verified
from orchestrator.records.tables import objective_replicates
from orchestrator.records.trials import Row, anonymizer_of, flat, hyperparameters
from orchestrator.records.trials import without_replicates as trials_only
from orchestrator.records.wording import name_of, with_interval
from orchestrator.search.checks import check_attackers, check_device, real_networks
from orchestrator.search.faces import FaceChoice, load_protocol
from orchestrator.search.make_panel import MakePanel, needs_gradients
from orchestrator.search.settings import Machines
from orchestrator.sweep.outcome import outcome_of
from orchestrator.terminal import make_console, options_of, sentences

DEMO_PEOPLE = 120
"""Twice as many as in the search's demo protocol."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@options_of(faces=(FaceChoice, "data"), networks=(Networks, "models", "held_out"), machines=(Machines, "device"))
def main(
    results: Annotated[Path, typer.Argument(help="Results folder of a search.")],
    faces: FaceChoice,
    networks: Networks,
    machines: Machines,
    seed: Annotated[
        int | None, typer.Option(help="Of people, pictures and attackers.", show_default="the search's + 1")
    ] = None,
    attacker: Annotated[
        list[str] | None,
        typer.Option(help=f"Attackers: {', '.join(ATTACKERS)}.", show_default="all"),
    ] = None,
) -> None:
    """Measure the front of a search again, on other people and with all attackers.

    --data and --models are needed where the search had some, --held-out where it named none for the attacker held_out.
    Leaves verified.parquet, curves.parquet and verified.html beside front.parquet, and prints both figures of every
    configuration side by side.
    """
    console = make_console()
    with sentences():
        check_device(machines.device)
        rows, sweep = read_front(results)
        used = sweep["seed"] + 1 if seed is None else seed
        if used < 0:
            raise ValueError(f"--seed: expected at least 0, got {used}")
        if used == sweep["seed"]:
            raise ValueError(f"--seed: expected another one than the search's {used}: the same draws prove nothing")
        attackers = tuple(attacker or ATTACKERS)
        check_attackers(attackers)
        chosen = real_networks(faces, networks, attackers)
        if chosen is not None:  # the search's own, by the back end and in the precision that it had
            before = networks_of(sweep["models"], sweep["panel"]["backends"], chosen.folder)
            chosen = replace(before, held_out=networks.held_out or before.held_out or chosen.held_out)
            check_networks(chosen)
        protocol = fresh_protocol(sweep, replace(faces, seed=used), chosen, console)
        make = MakePanel(
            protocol,
            chosen,
            tuple(sweep["objectives"]),
            attackers,
            machines.device,
            differentiable=needs_gradients(attackers, {row["method"] for row in rows}),
            signals=tuple(dict.fromkeys(name for row in rows for name in anonymizer_of(row).needed())),
            keep_curves=True,
        )
        try:
            panel = make()
        except CannotLearnError as error:
            raise ValueError(str(error)) from None
        facts = {
            **sweep,
            "verified": {
                "seed": used,
                "attackers": list(attackers),
                "protocol": protocol.describe(),
                "panel": panel.describe(),
            },
        }
        verified = verify(rows, panel, facts, console)
    replace_file(results / "verified.parquet", functools.partial(pq.write_table, verified, compression="zstd"))
    curves = curve_table(panel, verified.to_pylist())
    replace_file(results / "curves.parquet", functools.partial(pq.write_table, curves, compression="zstd"))
    write_verified(results / "verified.html", facts, rows, verified.to_pylist(), curves.to_pylist())
    console.print(side_by_side(rows, verified.to_pylist(), sweep["objectives"]))
    console.print(f"{results}/verified.parquet, curves.parquet, verified.html", markup=False)


def read_front(results: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read the front of a search and the facts about it.

    Raises:
        ValueError: if there is none, or it is empty.
    """
    path = results / "front.parquet"
    if not path.is_file():
        raise ValueError(f"RESULTS: expected a folder with front.parquet, {results} has none; run a search first")
    table = pq.read_table(path)
    rows: list[Row] = table.to_pylist()
    if not rows:
        raise ValueError(f"RESULTS: expected a front with configurations, that in {results} is empty")
    return rows, json.loads(table.schema.metadata[b"sweep"])


def fresh_protocol(
    sweep: Mapping[str, Any], faces: FaceChoice, networks: Networks | None, console: Console
) -> Protocol:
    """Draw other people, or other pictures and another split of a folder, and more of them.

    Args:
        sweep: facts of the search.
        faces: its faces, with another seed.
        networks: real ones, that find the faces of a folder.
        console: is told how far it is.

    Raises:
        ValueError: if the faces are not the search's, or cannot carry the measurement.
    """
    searched = sweep["protocol"]
    if (searched["name"] == "demo") != (faces.data is None):
        raise ValueError(
            f"--data: the search was on {searched['name']}; give "
            + ("no faces" if faces.data else "its faces and --models")
        )
    if faces.data is None:
        return demo_protocol(seed=faces.seed, evaluated=DEMO_PEOPLE)
    most = searched.get("max_pictures")
    split = replace(
        faces,
        min_pictures=searched.get("min_pictures"),
        max_pictures=2 * most if most else None,
        depth=searched.get("depth"),
    )
    return load_protocol(split, networks, console)


def verify(rows: Sequence[Row], panel: Panel, facts: Mapping[str, Any], console: Console) -> pa.Table:
    """Score every configuration of a front anew.

    Args:
        rows: flat rows of the front.
        panel: with all attackers, on fresh faces.
        facts: about search and verification, for the metadata.
        console: where progress is told.

    Returns:
        The columns of `trials.parquet`, in the order of the rows, with `front_probability`, `on_front`, and what the
        search had measured as `search_<objective>`.
    """
    objectives: dict[str, str] = facts["objectives"]
    schema = ledger_schema(facts)
    batches = []
    for n, row in enumerate(rows, start=1):
        outcome = outcome_of(panel, anonymizer_of(row))
        failed = isinstance(outcome, str)
        again = {name: row[name] for name in ("trial", "method", "anonymizer")} | {
            "status": "failed" if failed else "complete",
            "error": outcome if failed else None,
            "scores": None if failed else outcome,
            "seconds": 0.0 if isinstance(outcome, str) else outcome.seconds,
            "hyperparameters": hyperparameters(row),
        }
        batches.append(batch_of(flat(again), schema))
        console.print(f"[{n}/{len(rows)}] {name_of(row)}", markup=False)
    table = flat_table(pa.Table.from_batches(batches, schema=schema))
    measured = [n for n, row in enumerate(table.to_pylist()) if row["status"] == "complete"]
    on_front, probability = np.zeros(len(rows), bool), np.zeros(len(rows))
    if measured:
        some = table.take(pa.array(measured))
        ways = list(objectives.values())
        on_front[measured] = front_mask(objective_values(some.to_pylist(), objectives), ways)
        probability[measured] = front_probability(objective_replicates(some, objectives), ways)
    out = trials_only(table).append_column("front_probability", pa.array(probability))
    out = out.append_column("on_front", pa.array(on_front))
    for name in objectives:
        out = out.append_column(f"search_{name}", pa.array([row[name] for row in rows], pa.float64()))
    return out


def curve_table(panel: Panel, rows: Sequence[Row]) -> pa.Table:
    """Collect the curves of every attacker on every configuration, one point a row.

    Args:
        panel: that measured the configurations, with `keep_curves`.
        rows: flat rows of the verified configurations.

    Returns:
        `trial`, `attacker`, `kind` ("cmc": x is k, y the rank-k rate; "roc": x is the false accept rate, y the true
        accept rate), `x`, `y`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("trial", "attacker", "kind", "x", "y")}
    for row in rows:
        for attacker, found in (panel.curves or {}).get(row["anonymizer"], {}).items():
            for kind, x, y in (("cmc", range(1, len(found.cmc) + 1), found.cmc), ("roc", found.far, found.tar)):
                columns["trial"] += [row["trial"]] * len(y)
                columns["attacker"] += [attacker] * len(y)
                columns["kind"] += [kind] * len(y)
                columns["x"] += [float(value) for value in x]
                columns["y"] += y.tolist()
    types = {"trial": pa.int64(), "attacker": pa.string(), "kind": pa.string(), "x": pa.float64(), "y": pa.float64()}
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})


def side_by_side(before: Sequence[Row], after: Sequence[Row], objectives: Mapping[str, str]) -> Table:
    """Lay out what the search had measured and what the verification has."""
    stayed = sum(bool(row["on_front"]) for row in after)
    people = [next((row["n_people"] for row in rows if row["n_people"]), 0) for rows in (before, after)]
    title = (
        f"Verified: {stayed} of {len(after)} configurations stay on the front; {people[1]} people, search {people[0]}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("configuration", overflow="fold", min_width=18)
    for name in objectives:
        table.add_column(f"{name}: search", justify="right")
        table.add_column("verified", justify="right")
    for name in ("strongest attacker", "rank1_fixed", "on_front"):
        table.add_column(name, justify="right")
    for old, new in zip(before, after, strict=True):
        cells = [name_of(old)]
        for name in objectives:
            cells += [with_interval(old, name), with_interval(new, name)]
        cells += [strongest(new, ATTACKERS), with_interval(new, "rank1_fixed"), "yes" if new["on_front"] else "no"]
        table.add_row(*(Text(cell) for cell in cells))
    return table


if __name__ == "__main__":
    app()
