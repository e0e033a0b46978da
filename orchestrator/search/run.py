"""One run from settings to results folder: check, load faces, make panels, sweep, write."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console

from anonymizers import ANONYMIZERS, Anonymizer, Word
from evaluators.datasets.protocol import LEAST_PEOPLE
from evaluators.datasets.sources.groups import read_people_table, told_groups, with_groups
from evaluators.metrics.constraints import constraints_of
from evaluators.networks.catalog.choice import Networks
from evaluators.options import lasting
from orchestrator.cluster.code import measuring_digest, versions
from orchestrator.records.copies import Copies, copied
from orchestrator.records.event_log import LOG, logged
from orchestrator.records.ledger import Ledger
from orchestrator.records.report.searched import ContactSheet, write_report
from orchestrator.records.tables import write_details, write_tables
from orchestrator.records.trials import anonymizer_of
from orchestrator.records.wording import name_of, racing_line
from orchestrator.search.backend import Backend, interruptible, make_backend
from orchestrator.search.checks import check, check_learns, check_methods, real_networks
from orchestrator.search.faces import FaceChoice, load_protocol, trained_on
from orchestrator.search.families import families_facts, families_of
from orchestrator.search.folder import check_same, open_ledger, results_folder, resumed, rows_before, space_before
from orchestrator.search.make_panel import MakePanel, needs_gradients
from orchestrator.search.names import DEFAULT_SPACE
from orchestrator.search.settings import Machines, Settings, trials_of
from orchestrator.search.steps import Steps, remembered
from orchestrator.sweep.ending import front_line, front_table, next_steps
from orchestrator.sweep.interruption import ending_with
from orchestrator.sweep.progress import make_progress
from orchestrator.sweep.sampling.mirror import Mirror
from orchestrator.sweep.sweep import Sweep
from orchestrator.terminal import INTERRUPTED
from orchestrator.verify.served import write_served
from search_spaces import load_space

CONTACT_FACES = 10
CONTACT_ROWS = 20
"""Configurations on the contact sheet at most; each takes 300 kB of the report."""
DEMO_NOTE = "Demo faces and demo networks: rendered people and small networks of the project's own, no real ones."


def run(settings: Settings, faces: FaceChoice, networks: Networks, machines: Machines, console: Console) -> int:
    """Run a sweep and leave its results folder.

    Args:
        settings: what the sweep is.
        faces: on whom.
        networks: real ones; on the demo world they stay as they are by default.
        machines: where panels run.
        console: is told of progress and the front.

    Returns:
        The exit code: 0, or 130 after an interruption (what was finished is written).

    Raises:
        ValueError: if the input is bad; one sentence says what was expected, what came, and what to do.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a new study is no news
    space_name = settings.space or space_before(settings) or DEFAULT_SPACE
    space = load_space(space_name)
    chosen = real_networks(faces, networks, settings.attackers)
    directions = check(settings, faces, chosen, machines)
    constraints = constraints_of(settings.constraints)
    check_methods(space, chosen)
    sampler = settings.sampler or ("grid" if space.configurations else "tpe")
    folder = results_folder(settings, f"{faces.name}-{space.name}")
    before = resumed(settings, folder)
    trials = trials_of(settings, faces, before)
    check_learns(sampler, space, trials)
    racing = sampler != "grid" if settings.racing is None else settings.racing
    known: dict[str, Any] = {
        "options": {"--space": space_name, "--sampler": sampler, "--racing": racing, **lasting(settings, faces)},
        "code": measuring_digest(),
        "versions": {"python": platform.python_version(), **versions()},
    }
    if before is not None:
        check_same(before, known)
        if sampler == "grid" and not space.configurations and trials != before["trials"]:
            raise ValueError(
                f"--trials: a grid of {before['trials']} points cannot be extended to {trials}, which are others; "
                "start anew, or use another --sampler"
            )
    copies = None if settings.copy_to is None else Copies(folder, settings.copy_to)
    if copies is not None:
        copies.claim(resume=settings.resume, overwrite=settings.overwrite)
    signals = tuple(dict.fromkeys((*space.signals, *Word.needs)))  # the anchor's too
    steps = Steps(console)
    with contextlib.ExitStack() as stack:
        earlier = stack.enter_context(remembered())
        steps("rendering the demo faces" if faces.data is None else f"loading the faces of {faces.data}")
        trained = trained_on(space.examples(), None if chosen is None else chosen.folder)
        protocol = load_protocol(faces, chosen, console, signals, trained)
        if moved := protocol.facts.get("n_people_trained_on"):
            console.print(f"{moved} people whom a generator of {space.name} was trained on serve as background")
        if faces.groups is not None:
            protocol = with_groups(protocol, read_people_table(faces.groups))
            for attribute, group, count in told_groups(protocol.facts)[1]:
                console.print(
                    f"--groups: {attribute} {group} has {count} of the people, fewer than {LEAST_PEOPLE}: no rates",
                    markup=False,
                    soft_wrap=True,
                )
        known["protocol"] = protocol.describe()
        if before is not None:
            check_same(before, known)
        make = MakePanel(
            protocol,
            None if chosen is None else chosen.anywhere(),
            settings.objectives,
            settings.attackers,
            machines.device,
            differentiable=needs_gradients(settings.attackers, space.used),
            signals=signals,
            publish=settings.publish,
        )
        kept_in = settings.families or folder
        learn = families_of(make, space, kept_in, settings.family_budget, before, trials)
        backend = make_backend(make, machines, steps, learn)
        stack.callback(backend.close)
        panel = backend.describe()
        families, left_out = families_facts(learn, backend.make)
        facts = {
            "name": folder.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "objectives": dict(directions),
            "constraints": [str(one) for one in constraints],
            "space": space_name,
            "sampler": sampler,
            "seed": faces.seed,
            "trials": trials,
            "attackers": list(settings.attackers),
            "publish": settings.publish,
            **known,
            "models": panel["models"],
            "panel": {key: value for key, value in panel.items() if key != "models"},
            "families": families,
            "notes": [*([DEMO_NOTE] if faces.data is None else []), *left_out],
        }
        taken = []
        if settings.warm_start is not None:
            taken = rows_before(settings.warm_start, facts, [one.metric for one in constraints])
        mirror = None
        if settings.storage is not None:
            again = {"resume": settings.resume, "overwrite": settings.overwrite}
            mirror = Mirror(settings.storage, folder.name, directions, constraints, **again)
        ledger = open_ledger(settings, folder, facts)
        if learn is not None:
            learn.keep(backend.make, kept_in)
        for sentence in left_out:
            console.print(sentence, markup=False, soft_wrap=True)
        write_served(folder, protocol)
        stack.enter_context(copied(copies))
        stack.enter_context(logged(folder / LOG, earlier))
        with ledger:
            try:
                with make_progress(console) as progress:
                    sweep = Sweep(
                        space,
                        directions,
                        ledger,
                        progress,
                        sampler=sampler,
                        trials=trials,
                        seed=faces.seed,
                        time_budget=settings.time_budget,
                        max_faces=settings.max_faces,
                        racing=racing,
                        constraints=constraints,
                        stale_after=settings.stop_after_stale,
                        stale_growth=settings.stale_growth,
                        earlier=taken,
                        mirror=mirror,
                    )
                    if chosen is not None:
                        missed = replace(networks, models=chosen.models).missed()
                        console.print(networks_line(facts, missed), markup=False)
                    progress.start(facts, sweep.total)
                    ending_with(lambda: _ending(sweep))
                    interrupted = interruptible(backend, sweep)
            except (OSError, RuntimeError):
                # What ended the sweep is told, by whoever called; what was finished is shown as far as it can be.
                with contextlib.suppress(OSError, RuntimeError):
                    _write(folder, ledger, facts, None, console)
                raise
            end = _end(sweep, interrupted)
            shown = facts if end is None else {**facts, "notes": [*facts["notes"], end]}
            _write(folder, ledger, shown, backend, console)
        if sweep.finished:
            sweep.check_closed()
            if sweep.exhausted:
                console.print(f"every configuration of {space.name} was tried: {sweep.total} trials, anchors included")
        if end is not None:
            console.print(end, markup=False, soft_wrap=True)
    return INTERRUPTED if interrupted else 0


def _ending(sweep: Sweep) -> str:
    """Say what is still done after an interruption."""
    given_up = f"{sweep.running} under way given up, " if sweep.running else ""
    return f"{given_up}tables and report of {len(sweep.rows)} of {sweep.total} trials are written"


def _end(sweep: Sweep, interrupted: bool) -> str | None:
    """Say why there are fewer trials than there should be; None where there are not."""
    done = f"after {len(sweep.rows)} of {sweep.total} trials; the same command with --resume goes on"
    if interrupted:
        return f"Interrupted {done}."
    if sweep.finished:
        return None
    if sweep.spent == "--stop-after-stale":
        return (
            f"The hypervolume has not grown by {sweep.stale_growth:g} in {sweep.stale_after} trials: stopped after "
            f"{len(sweep.rows)} of {sweep.total}; --resume without --stop-after-stale goes on."
        )
    return f"{sweep.spent} is used up {done}."


def networks_line(facts: Mapping[str, Any], missed: Mapping[str, str]) -> str:
    """Say which network serves in each role, for which one, by which back end, and how fast both were in a race.

    Args:
        facts: of the sweep.
        missed: role -> the network that would have served by default, and is not there.
    """
    parts = []
    for role, choice in facts["panel"]["backends"].items():
        raced = ""
        if "torch_ms" in choice:
            raced = f" (ms a face: onnx {choice['onnx_ms']:.2f}, torch {choice['torch_ms']:.2f})"
        elif choice["backend"] == "onnx" and choice["why"] != "as asked for":
            raced = f" ({choice['why']})"
        parts.append(f"{role} {facts['models'][role]['name']} by {choice['backend']}{raced}")
    if "detector" in facts["models"]:
        parts.append(f"detector {facts['models']['detector']['name']}")
    parts += [
        f"{name}, by default the {role}, is not there" for role, name in missed.items() if role in facts["models"]
    ]
    return f"networks: {', '.join(parts)}"


def _write(folder: Path, ledger: Ledger, facts: Mapping[str, Any], backend: Backend | None, console: Console) -> None:
    """Write tables and report, and print the front and what to do with it; without a back end no faces are shown."""
    rows = ledger.trials()
    table = ledger.table()
    front = write_tables(table, facts, folder)
    details = write_details(table, facts, front, folder)
    try:
        contact = None if backend is None else _contact_sheet(front, backend)
    except TimeoutError:  # interrupted, and the panel is still at work on something else
        contact = None
    write_report(folder / "report.html", facts, rows, front, contact, details)
    console.print(front_line(front, rows, facts["protocol"]), markup=False, soft_wrap=True)
    if front:
        console.print(front_table(front, facts["objectives"], console.width))
    if raced := racing_line(rows, front):
        console.print(raced, markup=False, soft_wrap=True)
    for line in next_steps(folder, front):
        console.print(line, soft_wrap=True)


def _contact_sheet(front: Sequence[Mapping[str, Any]], backend: Backend) -> ContactSheet:
    """Show the same faces under configurations of the front, evenly chosen where they are many, the originals first."""
    front = front[:: max(1, -(-len(front) // CONTACT_ROWS))]
    shown: dict[str, Anonymizer] = {"original": ANONYMIZERS["identity"]()}
    for row in front:
        anonymizer = anonymizer_of(row)
        if anonymizer.method != "identity":
            shown.setdefault(name_of(row), anonymizer)
    pictures = [backend.released(anonymizer, CONTACT_FACES) for anonymizer in shown.values()]
    return ContactSheet(tuple(shown), np.stack(pictures))
