"""One run from settings to results folder: check, load faces, make panels, sweep, write."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from rich.console import Console

from anonymizers import ANONYMIZERS, Anonymizer
from evaluators.attackers import SEARCHING, THROUGH_THE_EMBEDDER
from evaluators.datasets.demo_protocol import demo_protocol
from evaluators.panel import CannotLearnError, Panel
from evaluators.protocol import Protocol as FaceProtocol
from evaluators.zoo import (
    check_files,
    load_nets,
)
from orchestrator.code import code_digest, versions
from orchestrator.copies import copied
from orchestrator.event_log import logged
from orchestrator.inprocess import InProcess
from orchestrator.ledger import Ledger, write_tables
from orchestrator.progress import front_table, make_progress
from orchestrator.ray_environment import set_environment
from orchestrator.report import ContactSheet, write_report
from orchestrator.settings import LEDGER, LOG, Settings, check, results_folder
from orchestrator.sweep import Sweep
from orchestrator.trials import hyperparameters, name_of
from search_spaces import SearchSpace

CONTACT_FACES = 10
INTERRUPTED = 130


class Backend(Protocol):
    """What runs sweeps: `InProcess` or `OnRay`."""

    def run(self, sweep: Sweep) -> None:
        """Propose, score and finish until nothing is left."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the facts of a panel: networks, device, teacher's calibration."""
        ...

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return pictures for the contact sheet."""
        ...

    def close(self) -> None:
        """Let go of panels."""
        ...


@dataclass(frozen=True)
class MakePanel:
    """Make the panel of a run where it will live; small enough to send, but for the faces."""

    protocol: FaceProtocol
    models: Path | None
    objectives: tuple[str, ...]
    device: str
    networks: Mapping[str, str] = field(default_factory=dict)
    backend_nets: str = "onnx"
    precision: str = "float32"
    attackers: tuple[str, ...] = SEARCHING
    differentiable: bool = False
    signals: tuple[str, ...] = ()

    def __call__(self) -> Panel:
        """Load the networks onto the device and look at the clear faces once.

        Raises:
            ValueError: if a GPU was asked for and none is there.
        """
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
        threads = torch.get_num_threads()
        nets = load_nets(
            self.models,
            device=device,
            threads=threads,
            backend=self.backend_nets,
            precision=self.precision,
            differentiable=self.differentiable,
            signals=self.signals,
            **self.networks,
        )
        return Panel(self.protocol, nets, objectives=self.objectives, attackers=self.attackers, device=device)


def run(settings: Settings, console: Console) -> int:
    """Run a sweep and leave its results folder.

    Returns:
        The exit code: 0, or 130 after an interruption (what was finished is written).

    Raises:
        ValueError: if the input is bad; one sentence says what was expected, what came, and what to do.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a new study is no news
    directions = check(settings)
    folder = results_folder(settings)
    protocol = load_protocol(settings, console)
    backend = _backend(settings, protocol)
    with contextlib.ExitStack() as stack:
        stack.callback(backend.close)
        facts = _facts(settings, folder, directions, protocol, backend.describe())
        ledger = _open_ledger(settings, folder, facts)
        stack.enter_context(copied(folder, settings.copy_to))
        stack.enter_context(logged(folder / LOG))
        with ledger, make_progress(console) as progress:
            sweep = Sweep(
                settings.space,
                directions,
                ledger,
                progress,
                sampler=settings.sampler or _default_sampler(settings.space),
                trials=settings.trials,
                seed=settings.seed,
                time_budget=settings.time_budget,
                max_faces=settings.max_faces,
            )
            if facts["panel"].get("backends"):
                console.print(networks_line(facts), markup=False)
            progress.start(facts, sweep.total)
            interrupted = _interruptible(backend, sweep)
        _write(folder, ledger, facts, backend, console)
        if sweep.finished:
            sweep.check_closed()
        elif not interrupted:
            console.print(f"{sweep.spent} is used up after {len(sweep.rows)} of {sweep.total} trials; --resume goes on")
    return INTERRUPTED if interrupted else 0


def load_protocol(settings: Settings, console: Console) -> FaceProtocol:
    """Load or render the faces and split them by identity."""
    if settings.data is None:
        return demo_protocol(seed=settings.seed)
    from orchestrator.faces_file import FACES, read_prepared

    if (settings.data / FACES).is_file():
        if settings.models is not None:
            check_files(settings.models, **settings.networks)
        from evaluators.datasets.prepared import protocol_of

        return protocol_of(
            read_prepared(settings.data),
            seed=settings.seed,
            min_pictures=settings.min_pictures,
            max_pictures=settings.max_pictures,
            attacker_faces=settings.attacker_faces,
        )
    from evaluators.datasets.folder import folder_protocol, read_people
    from evaluators.zoo import load_detector

    read_people(settings.data)  # a folder that cannot serve is refused before any network is loaded
    assert settings.models is not None
    check_files(settings.models, **settings.networks)
    with console.status("faces") as status:
        return folder_protocol(
            settings.data,
            load_detector(settings.models),
            seed=settings.seed,
            min_pictures=settings.min_pictures,
            max_pictures=settings.max_pictures,
            attacker_faces=settings.attacker_faces,
            progress=lambda done, total: status.update(f"faces: {done} of {total} pictures found and aligned"),
        )


def networks_line(facts: Mapping[str, Any]) -> str:
    """Say which back end serves each network, and how fast both were where they raced."""
    parts = []
    for role, choice in facts["panel"]["backends"].items():
        raced = ""
        if "torch_ms" in choice:
            raced = f" (ms a face: onnx {choice['onnx_ms']:.2f}, torch {choice['torch_ms']:.2f})"
        elif choice["backend"] == "onnx" and choice["why"] != "as asked for":
            raced = f" ({choice['why']})"
        parts.append(f"{role} {facts['models'][role]['name']} by {choice['backend']}{raced}")
    return f"networks: {', '.join(parts)}"


def needs_gradients(attackers: Iterable[str], methods: Iterable[str]) -> bool:
    """Tell whether an attacker or a method works through the embedder's gradients."""
    return bool(THROUGH_THE_EMBEDDER & set(attackers)) or any(ANONYMIZERS[m].needs_embedder for m in methods)


def _default_sampler(space: SearchSpace) -> str:
    return "grid" if space.configurations else "tpe"


def _backend(settings: Settings, protocol: FaceProtocol) -> Backend:
    make = MakePanel(
        protocol,
        settings.models,
        settings.objectives,
        settings.device,
        settings.networks,
        settings.backend_nets,
        settings.precision,
        settings.attackers,
        differentiable=needs_gradients(settings.attackers, settings.space.used),
        signals=settings.space.signals,
    )
    if settings.backend == "inprocess":
        try:
            return InProcess(make)
        except CannotLearnError as error:
            raise ValueError(str(error)) from None
    set_environment()  # before Ray is imported
    from orchestrator.on_ray import OnRay

    share = 0.0 if settings.device == "cpu" else settings.gpus_per_panel
    files = [str(path.resolve()) for path in (settings.models,) if path]  # the faces travel with the panels
    return OnRay(
        make,
        panels=settings.panels,
        gpus_per_panel=share,
        address=settings.address,
        needs_gpu=settings.device == "cuda",
        files=files,
    )


def _facts(
    settings: Settings, folder: Path, directions: Mapping[str, str], protocol: FaceProtocol, panel: Mapping[str, Any]
) -> dict[str, Any]:
    """Collect what the tables' metadata says of the sweep."""
    notes = []
    if settings.data is None:
        notes.append(
            "Demo faces and demo networks: rendered people and small networks of the project's own, no real ones."
        )
    return {
        "name": folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "objectives": dict(directions),
        "space": settings.space_name,
        "sampler": settings.sampler or _default_sampler(settings.space),
        "seed": settings.seed,
        "trials": settings.trials,
        "attackers": list(settings.attackers),
        "protocol": protocol.describe(),
        "models": panel["models"],
        "panel": {key: value for key, value in panel.items() if key != "models"},
        "code": code_digest(),
        "versions": {"python": platform.python_version(), **versions()},
        "notes": notes,
    }


def _open_ledger(settings: Settings, folder: Path, facts: Mapping[str, Any]) -> Ledger:
    """Create the ledger, or open it again and refuse another sweep's."""
    path = folder / LEDGER
    if not settings.resume:
        if settings.overwrite and folder.exists():
            for name in (LEDGER, LOG, "trials.parquet", "front.parquet", "report.html"):
                (folder / name).unlink(missing_ok=True)
        return Ledger.create(path, facts)
    ledger = Ledger.open(path)
    for name in ("objectives", "space", "sampler", "seed", "trials", "attackers", "models", "code", "versions"):
        _same(name, ledger.sweep[name], facts[name])
    _same("protocol", ledger.sweep["protocol"]["digest"], facts["protocol"]["digest"])
    return ledger


def _same(name: str, before: Any, now: Any) -> None:
    if before != now:
        raise ValueError(
            f"--resume: the sweep in this folder has another {name}: {before}, now {now}; start anew instead"
        )


def _interruptible(backend: Backend, sweep: Sweep) -> bool:
    """Run until the end or Ctrl-C; tell whether it was interrupted."""
    try:
        backend.run(sweep)
    except KeyboardInterrupt:
        return True
    # Tune takes the first Ctrl-C itself and returns early.
    return not sweep.finished and sweep.spent is None


def _write(folder: Path, ledger: Ledger, facts: Mapping[str, Any], backend: Backend, console: Console) -> None:
    """Write tables and report, and print the front."""
    front = write_tables(ledger.table(), facts, folder)
    write_report(folder / "report.html", facts, ledger.trials(), front, _contact_sheet(front, backend))
    console.print(front_table(front, facts["objectives"]))
    console.print(f"{folder}/trials.parquet, front.parquet, report.html", markup=False)


def _contact_sheet(front: Sequence[Mapping[str, Any]], backend: Backend) -> ContactSheet:
    """Show the same faces under each configuration of the front, the originals first."""
    shown: dict[str, Anonymizer] = {"original": ANONYMIZERS["identity"]()}
    for row in front:
        anonymizer = anonymizer_of(row)
        if anonymizer.method != "identity":
            shown.setdefault(name_of(row), anonymizer)
    pictures = [backend.released(anonymizer, CONTACT_FACES) for anonymizer in shown.values()]
    return ContactSheet(tuple(shown), np.stack(pictures))


def anonymizer_of(row: Mapping[str, Any]) -> Anonymizer:
    """Make the anonymizer of a flat row again from its hyperparameter columns."""
    return ANONYMIZERS[row["method"]](**hyperparameters(row))
