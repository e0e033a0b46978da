"""Recommendation: one configuration with what was measured of it, as a plain file that others can read too."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizers import ANONYMIZERS, TEMPLATE_SIZE, Anonymizer
from anonymizers.ranges import Choice, Range
from evaluators.options import expected_one_of
from orchestrator.records.files import replace_file

KIND, VERSION = "recommended configuration", 1
ALIGNMENT = "arcface112"
"""Similarity of five landmarks onto the ArcFace template of 112 px, scaled to the side of the crop."""


@dataclass(frozen=True)
class Recommendation:
    """State a configuration, on what it works, and what was measured of it; the fields are those of the file.

    Attributes:
        method: of ANONYMIZERS.
        hyperparameters: field -> value; those in px mean px of a crop of 112 px.
        crop_px: side of the aligned crops that were measured.
        alignment: how they were aligned, ALIGNMENT.
        publish: what became of released pictures before anybody attacked them, as in `--publish`.
        signals: what the method is told of a face.
        networks: role -> name and sha256 of those that attacked, read, found faces and told.
        bounds: metric -> the bound that was asked for.
        scores: metric -> value, and low and high of its 95 % interval where it has one.
        measured: on whom: protocol, digest, n_people, n_probe, chance_rank1, attackers, and whether it was verified.
        source: the results folder's name, the trial, and the digest of the code that measured.
    """

    method: str
    hyperparameters: Mapping[str, Any]
    crop_px: int = TEMPLATE_SIZE
    alignment: str = ALIGNMENT
    publish: str = "png"
    signals: tuple[str, ...] = ()
    networks: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    bounds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    measured: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def anonymizer(self) -> Anonymizer:
        """Make the anonymizer.

        Raises:
            ValueError: if there is no such method, or a hyperparameter is not the method's or out of its range.
        """
        return made(self.method, self.hyperparameters, "--config")


def made(method: str, hyperparameters: Mapping[str, Any], whose: str) -> Anonymizer:
    """Make an anonymizer of names.

    Args:
        method: of ANONYMIZERS.
        hyperparameters: field -> value; those left out have their default.
        whose: which option they come from, for the sentence.

    Raises:
        ValueError: if there is no such method, or a hyperparameter is missing, not the method's or out of its range.
    """
    if method not in ANONYMIZERS:
        raise ValueError(expected_one_of(whose, ANONYMIZERS, method))
    kind = ANONYMIZERS[method]
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    if unknown := [name for name in hyperparameters if name not in fields]:
        raise ValueError(expected_one_of(f"{whose}: of {method}", list(fields), unknown[0]))
    needed = [name for name, value in fields.items() if value is dataclasses.MISSING and name not in hyperparameters]
    if needed:
        ranges = ", ".join(f"{name} of {_words(kind.ranges()[name])}" for name in needed)
        raise ValueError(f"{whose}: expected every hyperparameter of {method} that has no default, {ranges} is missing")
    return kind(**hyperparameters)


def _words(over: Range) -> str:
    return ", ".join(over.values) if isinstance(over, Choice) else f"{over.low:g} to {over.high:g}"


def write(recommendation: Recommendation, path: Path) -> None:
    """Write a recommendation, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    facts = {"kind": KIND, "version": VERSION, **dataclasses.asdict(recommendation)}
    replace_file(path, lambda new: new.write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n"))


def read(path: Path) -> Recommendation:
    """Read a recommendation.

    Raises:
        ValueError: if it is no such file, of another version, or aligned otherwise than this program does.
    """
    try:
        facts = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"--config: expected a recommended.json, {path}: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"--config: expected a recommended.json, {path} is no JSON") from None
    if not isinstance(facts, dict) or facts.pop("kind", None) != KIND:
        raise ValueError(f"--config: expected a file of orchestrator.recommend, {path} is another")
    if (version := facts.pop("version", None)) != VERSION:
        raise ValueError(f"--config: expected version {VERSION}, {path} has {version}; recommend anew")
    names = [field.name for field in dataclasses.fields(Recommendation)]
    if other := sorted(set(facts) - set(names)) or [n for n in ("method", "hyperparameters") if n not in facts]:
        raise ValueError(f"--config: expected the fields {', '.join(names)}, {path} differs in {other[0]!r}")
    found = Recommendation(**{**facts, "signals": tuple(facts.get("signals", ()))})
    if found.alignment != ALIGNMENT:
        raise ValueError(f"--config: expected crops aligned as {ALIGNMENT}, {path} has {found.alignment!r}")
    if not isinstance(found.crop_px, int) or not 32 <= found.crop_px <= 1024:
        raise ValueError(f"--config: expected crop_px of 32 to 1024, {path} has {found.crop_px!r}")
    return found
