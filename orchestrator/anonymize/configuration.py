"""Configuration: what the options and recommended.json say of how faces are anonymized, and whether it can be."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from anonymizers import ANONYMIZERS
from anonymizers.ranges import Integer, Real
from evaluators.networks.catalog.choice import Networks, how_to_get, is_pulled
from orchestrator.anonymize.faces.treatment import Treatment, applied_names
from orchestrator.anonymize.options import Anonymization
from orchestrator.recommend.recommendation import Recommendation, made
from orchestrator.recommend.recommendation import read as read_recommendation


def configuration_of(settings: Anonymization) -> Recommendation:
    """Read the configuration from a file, or from --method and --set.

    Raises:
        ValueError: if there is none, or two.
    """
    if (settings.config is None) == (not settings.method):
        got = "neither" if settings.config is None else "both"
        raise ValueError(
            f"--config or --method: expected one of them, got {got}; methods are {', '.join(applied_names())}"
        )
    if settings.config is not None:
        if settings.set:
            raise ValueError("--set: does nothing with --config; leave it out, or name a --method")
        found = read_recommendation(settings.config)
        found.anonymizer()  # an impossible one is named here
        return found if settings.size is None else replace(found, crop_px=settings.size)
    values = dict(_value(settings.method, text) for text in settings.set)
    anonymizer = made(settings.method, values, "--method")
    return Recommendation(settings.method, anonymizer.hyperparameters(), crop_px=settings.size or 112)


def _value(method: str, text: str) -> tuple[str, Any]:
    """Read name=value as the method's range has it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set: expected NAME=VALUE, as in kernel=71, got {text!r}")
    over = ANONYMIZERS[method].ranges().get(name) if method in ANONYMIZERS else None
    try:
        return name, int(value) if isinstance(over, Integer) else float(value) if isinstance(over, Real) else value
    except ValueError:
        raise ValueError(f"--set {name}: expected a number, got {value!r}") from None


def quality_of(publish: str) -> int | None:
    """Return the quality of JPEG with which pictures were published when they were measured, if they were."""
    return int(publish.removeprefix("jpeg:")) if publish.startswith("jpeg:") else None


def treatment_of(settings: Anonymization, networks: Networks, recommendation: Recommendation) -> Treatment:
    """Say how faces are treated, and check that they can be.

    Raises:
        ValueError: if a network or what the method needs is missing.
    """
    if not networks.folder.is_dir():
        raise ValueError(
            f"--models: expected a folder of networks, {networks.folder} is none; `python -m orchestrator.models pull` "
            "gets them"
        )
    for role, key in (("embedder", "embedder"), ("teller", "expression")):
        name = recommendation.networks.get(key, {}).get("name")
        if name and not getattr(networks, role) and not name.startswith("demo"):
            chosen: dict[str, Any] = {role: name}
            networks = replace(networks, **chosen)  # those that were measured with
    detector = networks.settled().detector
    if not is_pulled(networks.folder, detector):
        raise ValueError(
            f"--detector: expected {detector} in {networks.folder}, which is missing; "
            + how_to_get(detector, networks.folder)
        )
    treatment = Treatment(
        recommendation.anonymizer(),
        recommendation.crop_px,
        networks,
        seed=secrets.randbits(53) if settings.seed is None else settings.seed,
        background=settings.background,
        look=settings.look,
        least_score=settings.least_score,
        around=settings.around,
        border=settings.border,
    )
    treatment.check()
    return treatment
