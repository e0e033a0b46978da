"""Settings of a search: what a sweep is, and the machines that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.datasets.publishing import FORMS, is_publishing
from evaluators.metrics import METRICS
from evaluators.options import option
from orchestrator.search.names import ATTACKER_NAMES, DEFAULT_SPACE, SEARCHING_NAMES, SPACE_NAMES, is_own_space
from orchestrator.sweep.study import SAMPLERS, STALE_GROWTH

if TYPE_CHECKING:
    from orchestrator.search.faces import FaceChoice

TRIALS, TRIALS_ON_DEMO = 40, 20
FAMILY_BUDGET = 300.0
FAMILY_SHARE = 10.0
"""Seconds of it for each trial, at most: a short search is not to wait for an attacker of long ones."""
OWN_SPACE = "package.module:NAME"
DEFAULT_OBJECTIVES = ("rank1_worst", "expression_kept")


def share_of(text: str) -> float | None:
    """Read --gpus-per-panel: a number, or None for auto.

    Raises:
        ValueError: if it is neither.
    """
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--gpus-per-panel: expected a number or auto, got {text!r}") from None


@dataclass(frozen=True)
class Settings:
    """State what a sweep is."""

    space: str | None = option(
        None,
        f"What may be tried: {', '.join(SPACE_NAMES)}, or {OWN_SPACE}.",
        known=SPACE_NAMES,
        unless=is_own_space,
        otherwise=OWN_SPACE,
        shown=DEFAULT_SPACE,
    )
    trials: int | None = option(
        None,
        "Configurations to try, besides the anchors; a fixed list is tried whole. With --resume, more extend a sweep.",
        least=1,
        shown="40, on the demo world 20, to be seen soon; with --resume as many as at the start",
    )
    time_budget: float | None = option(None, "Seconds after which nothing more is tried; --resume goes on.", above=0)
    max_faces: int | None = option(None, "Faces anonymized and measured after which nothing more is tried.", least=1)
    stop_after_stale: int | None = option(
        None,
        "Trials after which nothing more is tried if the hypervolume has not grown by --stale-growth in them.",
        least=1,
    )
    stale_growth: float = option(
        STALE_GROWTH, "Growth of the hypervolume below which --stop-after-stale calls it none.", above=0
    )
    objectives: tuple[str, ...] = option(
        DEFAULT_OBJECTIVES,
        "Metric to optimize, two or three times, of --list-metrics.",
        flag="--objective",
        known=tuple(METRICS),
        otherwise="what --list-metrics lists",
        lasting=True,
    )
    constraints: tuple[str, ...] = option(
        (),
        'Bound of a metric that a row must keep to be on the front, e.g. "detection_rate >= 0.9"; as often as wanted.',
        flag="--constraint",
        lasting=True,
    )
    attackers: tuple[str, ...] = option(
        SEARCHING_NAMES,
        f"Attackers of every trial: {', '.join(ATTACKER_NAMES)}. restored and finetuned train networks, for minutes a "
        "trial without a GPU.",
        flag="--attacker",
        known=ATTACKER_NAMES,
        section="Panel",
        lasting=True,
    )
    family_budget: float | None = option(
        None,
        "Seconds in which the attacker of_family learns the space's methods, once, before the first trial; 0: none.",
        least=0,
        needs="of_family",
        shown=f"{FAMILY_BUDGET:.0f}, at most {FAMILY_SHARE:.0f} a trial; 0 on the demo world, to be seen at once",
        section="Panel",
    )
    families: Path | None = option(
        None,
        "Folder where he keeps what he learned, for other sweeps on the same faces too.",
        needs="of_family",
        shown="the results folder",
        section="Panel",
    )
    publish: str = option(
        "png",
        "What is done to released pictures before anybody attacks or reads them: png, jpeg:QUALITY, scale:FACTOR.",
        known=("png",),
        unless=is_publishing,
        otherwise=FORMS,
        section="Panel",
        lasting=True,
    )
    sampler: str | None = option(
        None,
        f"One of {', '.join(SAMPLERS)}; qmc, random and grid learn nothing from what is measured.",
        known=SAMPLERS,
        shown="grid for a fixed list, else tpe",
    )
    racing: bool | None = option(
        None,
        "Stop a trial once finished ones surely dominate it: a tenth of them goes on all the same, and is checked.",
        flag="--racing/--no-racing",
        shown="yes; a fixed list or grid is measured whole",
    )
    out: Path | None = option(None, "Results folder.", shown="results/<data>-<space>, numbered if taken")
    copy_to: str | None = option(
        None,
        "Keep a copy of the results at a URI, e.g. s3://bucket/sweep; --resume takes it where --out has none.",
    )
    warm_start: Path | None = option(
        None,
        "Results folder of an earlier sweep on the same faces: its rows become rows of this one, measured once.",
    )
    storage: str | None = option(
        None,
        "Show the sweep in an Optuna storage too, for optuna-dashboard: sqlite:///FILE, postgresql://…, or the path of "
        "a journal file.",
    )
    resume: bool = option(False, "Go on with the sweep in the results folder.")
    overwrite: bool = option(False, "Replace the sweep in the results folder.")


@dataclass(frozen=True)
class Machines:
    """State where panels run."""

    backend: str = option("ray", "ray, or inprocess: the same loop without Ray.", known=("ray", "inprocess"))
    address: str | None = option(
        None,
        "Ray cluster to join, e.g. auto.",
        shown="RAY_ADDRESS, else a local one",
        variable="RAY_ADDRESS",
        needs="Ray",
    )
    panels: int | None = option(
        None, "Panel actors.", least=1, shown="one per GPU share, or per node", section="Panel", needs="Ray"
    )
    gpus_per_panel: float | None = option(
        1,
        "Share of a GPU per panel; 0: CPU only; auto: as many panels on a GPU as its memory holds.",
        least=0,
        parse=share_of,
        section="Panel",
        needs="Ray",
    )
    device: str = option("auto", "auto, cpu or cuda.", known=("auto", "cpu", "cuda"), section="Panel")


def trials_of(settings: Settings, faces: FaceChoice, before: Mapping[str, Any] | None) -> int:
    """Return how many configurations are tried: as many as are asked for, as `before`, or as usual on these faces."""
    usual = TRIALS_ON_DEMO if faces.data is None else TRIALS
    return settings.trials or (before or {}).get("trials", usual)
