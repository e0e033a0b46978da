"""Measure a front again: a sweep over its configurations, on other faces.

The front of a search is the best of many noisy draws, and the search may have adapted to its attackers. Here its
configurations meet other people, other seeds and an embedder that the search never saw.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from evaluators.attackers import ATTACKERS
from evaluators.datasets.overlap import overlap, served_by
from evaluators.datasets.protocol import Protocol
from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import Networks, check_networks, networks_of
from evaluators.options import LARGEST, check_values, refuse_idle
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import FRONT, check_free, check_results, check_writable, replace_file
from orchestrator.records.ledger import Ledger, read
from orchestrator.records.report.verified import write_verified
from orchestrator.records.tables import read_table
from orchestrator.records.trials import Row, anonymizer_of
from orchestrator.search.backend import interruptible, make_backend
from orchestrator.search.checks import check_answers, check_device, idle, real_networks
from orchestrator.search.faces import FaceChoice, load_protocol, trained_on
from orchestrator.search.families import families_facts, families_of
from orchestrator.search.make_panel import MakePanel, needs_gradients
from orchestrator.search.names import check_attackers
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.progress import make_progress
from orchestrator.sweep.sweep import Sweep
from orchestrator.terminal import INTERRUPTED
from orchestrator.verify.served import read_served
from orchestrator.verify.tables import curve_table, verified_table
from orchestrator.verify.wording import difference_line, gap_line, side_by_side
from search_spaces import SearchSpace

VERIFIED_LEDGER = "verified.arrow"
DEMO_PEOPLE = 120
"""Twice as many as in the search's demo protocol."""


def run(
    results: Path,
    faces: FaceChoice,
    networks: Networks,
    machines: Machines,
    console: Console,
    *,
    seed: int | None = None,
    attackers: Sequence[str] | None = None,
    resume: bool = False,
    learning: Settings | None = None,
) -> int:
    """Verify a front: a sweep over its configurations, on other faces.

    Args:
        results: folder of the search.
        faces: the search's or others, which it may never have had; how they are split where that is to differ.
        networks: their folder; which they are is the search's choice.
        machines: where panels run.
        console: is told of progress and outcome.
        seed: of people, pictures and attackers; None for the search's + 1.
        attackers: the search's, or more; None for all.
        resume: go on with an interrupted verification.
        learning: says how long the attacker of_family may learn, and where he keeps it.

    Returns:
        The exit code: 0, or 130 after an interruption.

    Raises:
        ValueError: if the input is bad.
    """
    check_device(machines.device)
    rows, sweep = read_front(results)
    used = sweep["seed"] + 1 if seed is None else seed
    if not 0 <= used <= LARGEST:
        raise ValueError(f"--seed: expected 0 to {LARGEST}, got {used}")
    if used == sweep["seed"]:
        raise ValueError(f"--seed: expected another one than the search's {used}: the same draws prove nothing")
    chosen_attackers = tuple(attackers or ATTACKERS)
    check_attackers(chosen_attackers)
    check_as_strong(chosen_attackers, sweep["attackers"])
    check_writable(results, "RESULTS")
    if learning is not None and learning.families is not None:
        check_writable(learning.families, "--families")
    path = results / VERIFIED_LEDGER
    if path.is_file():
        check_free(path)
    elif resume:
        raise ValueError(f"--resume: expected {path}, which is not there; leave --resume out")
    check_same_world(sweep, faces)
    check_values(faces)
    refuse_idle(idle(Settings(), faces), faces)
    check_answers(machines)
    chosen = real_networks(faces, networks, chosen_attackers)
    if chosen is not None:  # the search's own, by the back end and in the precision that it had
        before = networks_of(sweep["models"], sweep["panel"]["backends"], chosen.folder)
        chosen = replace(before, held_out=networks.held_out or before.held_out)
        chosen = chosen.settled(held_out="held_out" in chosen_attackers)  # of a family that the search never asked
        check_networks(chosen)
        chosen = chosen.anywhere()
    methods = [anonymizer_of(row) for row in rows]
    trained = trained_on(methods, None if chosen is None else chosen.folder)
    protocol = fresh_protocol(sweep, replace(faces, seed=used), chosen, console, trained)
    before_that = read_served(results)
    objectives: dict[str, str] = sweep["objectives"]
    verified: dict[str, Any] = {
        "seed": used,
        "attackers": list(chosen_attackers),
        "protocol": protocol.describe(),
        "search": searched_on(sweep),
        "overlap": None if before_that is None else overlap(before_that, served_by(protocol)),
    }
    space = SearchSpace("front", configurations=tuple(anonymizer_of(row) for row in rows))
    make = MakePanel(
        protocol,
        chosen,
        tuple(objectives),
        chosen_attackers,
        machines.device,
        differentiable=needs_gradients(chosen_attackers, {row["method"] for row in rows}),
        signals=space.signals,
        keep_curves=True,
        publish=sweep.get("publish", "png"),
    )
    resumed = _resumed(path, verified) if resume else None
    learning = learning or Settings()
    kept_in = learning.families or results
    learn = families_of(make, space, kept_in, learning.family_budget, resumed)
    with contextlib.ExitStack() as stack:
        backend = make_backend(make, machines, lambda step: console.print(step, markup=False), learn)
        stack.callback(backend.close)
        verified["panel"] = backend.describe()
        verified["families"], left_out = families_facts(learn, backend.make)
        for sentence in left_out:
            console.print(sentence, markup=False, soft_wrap=True)
        if learn is not None:
            learn.keep(backend.make, kept_in)
        facts = {**sweep, "verified": verified, "trials": len(rows)}
        ledger = stack.enter_context(Ledger.open(path) if resume else Ledger.create(path, facts, replace=True))
        with make_progress(console) as progress:
            again = Sweep(
                *(space, objectives, ledger, progress), sampler="grid", trials=len(rows), seed=used, anchors=False
            )
            progress.start(facts, again.total)
            interrupted = interruptible(backend, again)
        table = ledger.table()
    if interrupted:
        console.print(f"{len(again.rows)} of {again.total} configurations measured; --resume goes on")
        return INTERRUPTED
    write_results(results, rows, table, facts, console)
    return 0


def check_as_strong(attackers: Sequence[str], searched: Sequence[str]) -> None:
    """Check that a verification has every attacker of the search.

    Raises:
        ValueError: if one is missing: the strongest of fewer attackers would look like more privacy.
    """
    if unknown := [name for name in searched if name not in ATTACKERS]:
        raise ValueError(
            f"RESULTS: expected a search against attackers of this version, {', '.join(unknown)} is none; use the "
            "version that searched"
        )
    if missing := [name for name in searched if name not in attackers]:
        raise ValueError(
            f"--attacker: expected the attackers of the search or more, {', '.join(missing)} is missing; against "
            "fewer, privacy would seem to have improved"
        )


def searched_on(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return how hard it was for the attackers of the search: people, gallery, chance."""
    protocol = sweep["protocol"]
    people = protocol["n_people"]
    return {"n_people": people, "n_gallery": protocol["n_gallery"], "chance_rank1": 1 / people}


def _resumed(path: Path, verified: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the verification that goes on; refuse another one."""
    if not path.is_file():
        raise ValueError(f"--resume: expected {path}, which is not there; leave --resume out")
    before: dict[str, Any] = sweep_of(read(path))["verified"]
    for name in ("seed", "attackers"):
        if before[name] != verified[name]:
            raise ValueError(
                f"--resume: the verification here has another {name}: {before[name]}, not {verified[name]}"
            )
    if before["protocol"]["digest"] != verified["protocol"]["digest"]:
        raise ValueError("--resume: the verification here was on other faces; leave --resume out")
    return before


def write_results(
    results: Path, rows: Sequence[Row], ledger: pa.Table, facts: Mapping[str, Any], console: Console
) -> None:
    """Write tables and report of a verification, and print both figures of every configuration."""
    verified = verified_table(rows, ledger, facts)
    after = verified.to_pylist()
    replace_file(results / "verified.parquet", functools.partial(pq.write_table, verified, compression="zstd"))
    curves = curve_table(rows, ledger)
    replace_file(results / "curves.parquet", functools.partial(pq.write_table, curves, compression="zstd"))
    differs = f"{difference_line(rows, after, facts)} {gap_line(rows, after, facts['attackers'])}"
    write_verified(results / "verified.html", facts, rows, after, curves.to_pylist(), differs)
    console.print(side_by_side(rows, after, facts["objectives"]))
    console.print(differs, markup=False, soft_wrap=True)
    console.print(f"{results}/verified.parquet, curves.parquet, verified.html", markup=False)


def read_front(results: Path) -> tuple[list[Row], dict[str, Any]]:
    """Read the front of a search and the facts about it.

    Raises:
        ValueError: if there is none, or it is empty.
    """
    check_results(results, FRONT)
    table, sweep = read_table(results / FRONT)
    rows: list[Row] = table.to_pylist()
    if not rows:
        raise ValueError(f"RESULTS: expected a front with configurations, that in {results} is empty")
    if lacking := [name for name in ("attackers", "panel") if name not in sweep]:
        raise ValueError(
            f"RESULTS: expected the front of a search, {results / FRONT} does not say its {' and '.join(lacking)}"
        )
    return rows, sweep


def check_same_world(sweep: Mapping[str, Any], faces: FaceChoice) -> None:
    """Check that a search on the demo world is verified there, and one on real faces on real ones.

    Raises:
        ValueError: if it is not.
    """
    name = sweep["protocol"]["name"]
    if (name == "demo") != (faces.data is None):
        raise ValueError(
            f"--data: the search was on {name}; "
            + ("leave --data out" if faces.data else "give its faces and --models")
        )


def fresh_protocol(
    sweep: Mapping[str, Any],
    faces: FaceChoice,
    networks: Networks | None,
    console: Console,
    trained: Collection[str] = (),
) -> Protocol:
    """Draw other people, or other pictures and another split of a folder, and more of them.

    Args:
        sweep: facts of the search, which split the faces where the choice says nothing else.
        faces: its faces or others, with another seed.
        networks: real ones, that find the faces of a folder.
        console: is told how far it is.
        trained: as in `load_protocol`.

    Raises:
        ValueError: if the faces cannot carry the measurement.
    """
    searched = sweep["protocol"]
    if faces.data is None:
        return demo_protocol(seed=faces.seed, evaluated=DEMO_PEOPLE)
    most = searched.get("max_pictures")
    split = replace(
        faces,
        min_pictures=faces.min_pictures or searched.get("min_pictures"),
        max_pictures=faces.max_pictures or (2 * most if most else None),
        depth=faces.depth or searched.get("depth"),
    )
    return load_protocol(split, networks, console, trained=trained)
