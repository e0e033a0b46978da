"""Generators that were trained by `python -m orchestrator.train`: entries of the zoo like the published networks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

OWN = Path(__file__).resolve().parents[3] / "anonymizers" / "weights"
"""The project's own; named here too, since the package of anonymizers imports torch, which a list does without."""


@dataclass(frozen=True)
class Trained:
    """State what a trained generator is.

    Attributes:
        name: "generator <variant>", with "demo" or "photographs" before the project's own variants.
        path: of its file.
        terms: of use.
        source: what it was trained with and on; of a file that nobody trained here, what is wrong with it.
    """

    name: str
    path: Path
    terms: str
    source: str


def trained(folder: Path) -> list[Trained]:
    """List the generators in a folder of models, then the project's own."""
    paths = [*sorted((folder / "generator").glob("*.safetensors")), *sorted(OWN.glob("*.safetensors"))]
    return [_entry(path) for path in paths]


def _entry(path: Path) -> Trained:
    name = "generator " + path.stem.replace("demo_", "demo ").replace("photographs_", "photographs ")
    try:
        with safe_open(path, "np") as file:
            facts = file.metadata() or {}
        steps = json.loads(facts["recipe"])["steps"]
        source = f"{steps} steps on {facts['faces']}, by {facts['embedder']} and {facts['teacher']}"
    except (KeyError, ValueError, SafetensorError) as error:
        return Trained(name, path, "unknown", f"no file of python -m orchestrator.train: {error}")
    return Trained(name, path, facts.get("terms", "MIT, as the demo networks"), source)
