"""One run from settings to results folder: check, load faces, make panels, sweep, write."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from rich.console import Console

from anonymizers import ANONYMIZERS, Anonymizer
from evaluators.datasets.demo_protocol import demo_protocol
from evaluators.metrics import METRICS, objectives_of
from evaluators.panel import CannotLearnError, Panel
from evaluators.protocol import Protocol as FaceProtocol
from evaluators.zoo import (
    BACKBONES,
    DEFAULT_NETWORKS,
    INCEPTION,
    check_files,
    check_networks,
    is_path,
    is_pulled,
    load_nets,
)
from orchestrator.inprocess import InProcess
from orchestrator.ledger import Ledger, write_tables
from orchestrator.progress import front_table, make_progress
from orchestrator.report import ContactSheet, write_report
from orchestrator.sweep import SAMPLERS, Sweep
from orchestrator.trials import configuration, hyperparameters
from search_spaces import SearchSpace

DEFAULT_OBJECTIVES = ("rank1_worst", "expression_kappa_adapted")
BACKENDS = ("ray", "inprocess")
DEVICES = ("auto", "cpu", "cuda")
LEDGER = "ledger.arrow"
CONTACT_FACES = 10
INTERRUPTED = 130
PACKAGES = ("ray", "optuna", "torch", "torchvision", "onnxruntime-gpu", "numpy", "pyarrow", "moocore")
SOURCES = ("anonymizers", "evaluators", "search_spaces", "orchestrator")

WITH_DETECTOR = ("detection_rate", "landmark_nme", *(name for name in METRICS if name.endswith("_redetected")))
AT_VERIFICATION = ("rank1_held_out", "rank5_held_out", "rank10_held_out")
UNMEASURED = {
    "demo": (
        *AT_VERIFICATION,
        "tar_at_far_1e4",
        "fnir_at_fpir_1e2",
        "lpips",
        "ms_ssim",
        "fid",
        "kid",
        *WITH_DETECTOR,
    ),
    "folder": (*AT_VERIFICATION, "lpips", "ms_ssim", "fid", "kid", "expression_accuracy", "expression_macro_f1"),
}
"""Metrics without their network, size or labels: the backbones of LPIPS and FID must be pulled first, crops of 112 px
are too small for five scales, the demo has too few pairs and strangers for the lowest rates and no detector, a folder
of people has no expression labels, and the held-out attacker stays out of the search."""


@dataclass(frozen=True)
class Settings:
    """Hold the options of a run, as `python -m orchestrator.search --help` explains them."""

    space: SearchSpace
    space_name: str
    data: Path | None = None
    models: Path | None = None
    trials: int = 40
    objectives: tuple[str, ...] = DEFAULT_OBJECTIVES
    sampler: str | None = None
    seed: int = 0
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    backend: str = "ray"
    address: str | None = None
    panels: int | None = None
    gpus_per_panel: float = 1.0
    device: str = "auto"
    min_pictures: int | None = None
    max_pictures: int | None = None
    attacker_faces: int = 2500
    embedder: str | None = None
    embedder_input: str | None = None
    held_out: str | None = None
    teacher: str | None = None

    @property
    def world(self) -> str:
        """Return "demo" or "folder"."""
        return "demo" if self.data is None else "folder"

    @property
    def networks(self) -> dict[str, str]:
        """Return which of the real networks a panel gets, as `load_nets` takes them."""
        chosen = {role: getattr(self, role) or default for role, default in DEFAULT_NETWORKS.items()}
        for role in ("embedder", "held_out"):
            if is_path(chosen[role]):  # a panel may live in a process that has another working folder
                chosen[role] = str(Path(chosen[role]).resolve())
        return chosen


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
    share: float
    networks: Mapping[str, str] = field(default_factory=dict)

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
        threads = max(1, int((os.cpu_count() or 1) * self.share))
        torch.set_num_threads(threads)
        nets = load_nets(self.models, device=device, threads=threads, **self.networks)
        return Panel(self.protocol, nets, objectives=self.objectives, device=device)


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
    try:
        facts = _facts(settings, folder, directions, protocol, backend.describe())
        ledger = _open_ledger(settings, folder, facts)
        with ledger, make_progress(console) as progress:
            sweep = Sweep(
                settings.space,
                directions,
                ledger,
                progress,
                sampler=settings.sampler or _default_sampler(settings.space),
                trials=settings.trials,
                seed=settings.seed,
            )
            progress.start(facts, sweep.total)
            interrupted = _interruptible(backend, sweep)
        _write(folder, ledger, facts, backend, console)
        if not interrupted:
            sweep.check_closed()
    finally:
        backend.close()
    return INTERRUPTED if interrupted else 0


def check(settings: Settings) -> dict[str, str]:
    """Check what can be checked before anything is loaded.

    Returns:
        The objectives with their directions.

    Raises:
        ValueError: if an option cannot be honored; the sentence names it.
    """
    if settings.trials < 1:
        raise ValueError(f"--trials: expected at least 1, got {settings.trials}")
    if settings.seed < 0:
        raise ValueError(f"--seed: expected 0 or more, got {settings.seed}")
    for option, value, known in (
        ("--backend", settings.backend, BACKENDS),
        ("--device", settings.device, DEVICES),
        ("--sampler", settings.sampler or "tpe", SAMPLERS),
    ):
        if value not in known:
            raise ValueError(f"{option}: expected one of {', '.join(known)}, got {value!r}")
    if settings.panels is not None and settings.panels < 1:
        raise ValueError(f"--panels: expected at least 1, got {settings.panels}")
    directions = objectives_of(settings.objectives)
    if not 2 <= len(directions) <= 3 or len(directions) != len(settings.objectives):
        raise ValueError(f"--objective: expected two or three different metrics, got {', '.join(settings.objectives)}")
    for name in directions:
        if name in _unmeasured(settings):
            raise ValueError(
                f"--objective {name}: cannot be measured on the {settings.world} faces; choose another metric"
            )
        if name == "psnr":
            raise ValueError("--objective psnr: has no value for identical pictures; choose mse, which orders alike")
    if settings.data is not None and not settings.data.is_dir():
        raise ValueError(
            f"--data: expected a folder with one folder of pictures per person, or a prepared set, {settings.data} is "
            "none"
        )
    if settings.data is not None and settings.models is None:
        raise ValueError(
            "--data: real faces need real networks; give their folder as --models, or pull them into the default one "
            "(python -m orchestrator.models list)"
        )
    if settings.models is not None and settings.data is None:
        raise ValueError("--models: real networks need real faces; give their folder as --data")
    if settings.models is not None and not settings.models.is_dir():
        raise ValueError(f"--models: expected a folder of networks, {settings.models} is none")
    if settings.models is not None:
        check_networks(**settings.networks)
    else:
        for role in DEFAULT_NETWORKS:
            if getattr(settings, role) is not None:
                raise ValueError(f"--{role.replace('_', '-')}: a choice of real networks needs real faces; give --data")
    if settings.resume and settings.overwrite:
        raise ValueError("--resume and --overwrite: expected one of them, got both")
    if settings.device == "cuda" and settings.backend == "inprocess" and not torch.cuda.is_available():
        raise ValueError("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
    return directions


def _unmeasured(settings: Settings) -> set[str]:
    """Return the metrics that cannot be objectives, on these faces and with these networks."""
    names = set(UNMEASURED[settings.world])
    if settings.models is not None:
        if any(is_pulled(settings.models, name) for name in BACKBONES):
            names -= {"lpips"}
        if is_pulled(settings.models, INCEPTION):
            names -= {"fid", "kid"}
    return names


def results_folder(settings: Settings) -> Path:
    """Choose, check and make the results folder.

    Raises:
        ValueError: if it holds a sweep and neither --resume nor --overwrite was given, if there is nothing to resume,
            or if it cannot be written.
    """
    folder = settings.out
    if folder is None:
        name = f"{settings.data.name if settings.data else 'demo'}-{settings.space.name}"
        folder = Path("results") / name
        number = 2
        while folder.exists() and not (settings.resume or settings.overwrite):
            folder = Path("results") / f"{name}-{number}"
            number += 1
    if folder.exists() and any(folder.iterdir()) and not (settings.resume or settings.overwrite):
        raise ValueError(f"--out: {folder} holds results already; give --resume, --overwrite or another folder")
    if settings.resume and not (folder / LEDGER).is_file():
        raise ValueError(f"--resume: expected {folder / LEDGER}, which is not there; leave --resume out to start anew")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"--out: expected a folder that can be written, {folder}: {error.strerror}") from None
    return folder


def load_protocol(settings: Settings, console: Console) -> FaceProtocol:
    """Load or render the faces and split them by identity."""
    if settings.data is None:
        return demo_protocol(seed=settings.seed)
    from orchestrator.faces_file import FACES, read_prepared

    if settings.models is not None and (settings.data / FACES).is_file():
        check_files(settings.models, **settings.networks)
    if (settings.data / FACES).is_file():
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


def code_digest() -> str:
    """Return the SHA-256 over the program's own source files."""
    root = Path(__file__).resolve().parent.parent
    sha = hashlib.sha256()
    for package in SOURCES:
        for file in sorted((root / package).rglob("*.py")):
            sha.update(f"{file.relative_to(root).as_posix()}\n".encode())
            sha.update(file.read_bytes())
    return sha.hexdigest()


def _default_sampler(space: SearchSpace) -> str:
    return "grid" if space.configurations else "tpe"


def _backend(settings: Settings, protocol: FaceProtocol) -> Backend:
    panels = settings.panels or 1
    make = MakePanel(protocol, settings.models, settings.objectives, settings.device, 1 / panels, settings.networks)
    if settings.backend == "inprocess":
        try:
            return InProcess(make)
        except CannotLearnError as error:
            raise ValueError(str(error)) from None
    from orchestrator.on_ray import OnRay

    share = 0.0 if settings.device == "cpu" else settings.gpus_per_panel
    return OnRay(make, panels=settings.panels, gpus_per_panel=share, address=settings.address)


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
        "protocol": protocol.describe(),
        "models": panel["models"],
        "panel": {key: value for key, value in panel.items() if key != "models"},
        "code": code_digest(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "notes": notes,
    }


def _open_ledger(settings: Settings, folder: Path, facts: Mapping[str, Any]) -> Ledger:
    """Create the ledger, or open it again and refuse another sweep's."""
    path = folder / LEDGER
    if not settings.resume:
        if settings.overwrite and folder.exists():
            for file in (path, folder / "trials.parquet", folder / "front.parquet", folder / "report.html"):
                file.unlink(missing_ok=True)
        return Ledger.create(path, facts)
    ledger = Ledger.open(path)
    for name in ("objectives", "space", "sampler", "seed", "trials", "models", "code", "versions"):
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
    return not sweep.finished


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
            shown.setdefault(f"{row['method']} {configuration(row)}".strip(), anonymizer)
    pictures = [backend.released(anonymizer, CONTACT_FACES) for anonymizer in shown.values()]
    return ContactSheet(tuple(shown), np.stack(pictures))


def anonymizer_of(row: Mapping[str, Any]) -> Anonymizer:
    """Make the anonymizer of a flat row again from its hyperparameter columns."""
    return ANONYMIZERS[row["method"]](**hyperparameters(row))
