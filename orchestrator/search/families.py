"""Families of a run: what its attacker of_family learns before the first trial, and where that is kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from anonymizers import Anonymizer
from evaluators.attackers.embeddings.retrained import check_pictures
from evaluators.attackers.families import learn_families
from evaluators.networks.catalog.downloads import digest_of
from orchestrator.cluster.code import measuring_digest
from orchestrator.records.files import replace_file
from orchestrator.search.make_panel import MakePanel
from orchestrator.search.settings import FAMILY_BUDGET, FAMILY_SHARE
from search_spaces import SearchSpace

FILES = "family-*.safetensors"
MEMBERS = 8
"""Configurations of a method that it is learned on."""
OF_FAMILY = "of_family"


@dataclass(frozen=True)
class LearnFamilies:
    """Learn what is not known yet where a panel will live, and return what makes panels that know it.

    Attributes:
        make: makes panels that know no family.
        names: method -> name of the file that keeps its family, of those that are known or to be learned.
        known: method -> its family, packed.
        members: method -> configurations, of what is to be learned.
        seconds: for what is to be learned.
    """

    make: MakePanel
    names: Mapping[str, str]
    known: Mapping[str, bytes]
    members: Mapping[str, tuple[Anonymizer, ...]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def step(self) -> str:
        """Say what is done, for the terminal."""
        if not self.members or not self.seconds:
            return f"an attacker remembers {', '.join(self.known) or 'nothing that it was taught before'}"
        return f"an attacker learns {', '.join(self.members)} in at most {self.seconds:.0f} s (--family-budget)"

    def __call__(self) -> MakePanel:
        """Load the networks, learn, and let go of them."""
        if not self.members:
            return replace(self.make, families=self.known)
        if not self.seconds:
            left = dict.fromkeys(self.members, "no time, --family-budget gives some")
            return replace(self.make, families=self.known, families_left_out=left)
        device, nets = self.make.networks_there()
        learned, left_out = learn_families(
            self.make.protocol, nets, self.members, seconds=self.seconds, device=device, publish=self.make.publish
        )
        del nets
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return replace(self.make, families={**self.known, **learned}, families_left_out=left_out)

    def keep(self, made: MakePanel, folder: Path) -> None:
        """Write the families that are not in a folder yet."""
        folder.mkdir(parents=True, exist_ok=True)
        for method, packed in made.families.items():
            if not (path := folder / self.names[method]).is_file():
                replace_file(path, _writes(packed))


def families_of(
    make: MakePanel,
    space: SearchSpace,
    folder: Path,
    seconds: float | None,
    before: Mapping[str, Any] | None = None,
    trials: float = math.inf,
) -> LearnFamilies | None:
    """Say what is known of the methods of a run and what is to be learned; None where no attacker has a use for it.

    Args:
        make: makes the panels of the run.
        space: its methods.
        folder: where families are kept; those of the same faces, networks and code are taken from there.
        seconds: for the others; None for the default.
        trials: of the run, which bound the default.
        before: facts of the run that goes on: it keeps the families that it had, those and no others.

    Raises:
        ValueError: if one of these is not there any more, or the faces are too few for that attacker.
    """
    if OF_FAMILY not in make.attackers:
        return None
    check_pictures(len(make.protocol.gallery), int(make.protocol.enrolled.numel()))  # before minutes of learning
    if before is not None:
        names = before.get("families", {})
        if missing := [name for name in names.values() if not (folder / name).is_file()]:
            raise ValueError(
                f"--resume: expected what the attacker of_family learned in {folder / missing[0]}, which is not there; "
                "bring it back, or start anew"
            )
        return LearnFamilies(make, names, {method: (folder / name).read_bytes() for method, name in names.items()})
    if seconds is None:
        seconds = min(FAMILY_BUDGET, FAMILY_SHARE * trials) if make.networks is not None else 0.0
    methods = {method: tuple(space.spread(method, MEMBERS, make.protocol.seed)) for method in space.used}
    methods = {method: some for method, some in methods.items() if some[0].ranges()}  # an anchor has none
    common = _common(make)
    names = {method: f"family-{method}-{_digest(some, common)}.safetensors" for method, some in methods.items()}
    known = {method: (folder / name).read_bytes() for method, name in names.items() if (folder / name).is_file()}
    members = {method: some for method, some in methods.items() if method not in known}
    return LearnFamilies(make, names, known, members, seconds)


def families_facts(learn: LearnFamilies | None, made: MakePanel) -> tuple[dict[str, str], list[str]]:
    """Return the names of the files by method, and sentences on methods that were not learned."""
    names = {} if learn is None else {method: learn.names[method] for method in made.families}
    reasons: dict[str, list[str]] = {}
    for name, why in made.families_left_out.items():
        reasons.setdefault(why, []).append(name)
    return names, [f"Attacker of_family leaves {_listed(left)} out: {why}." for why, left in reasons.items()]


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _common(make: MakePanel) -> tuple[Any, ...]:
    """Return what all families of a run depend on: faces, publishing, embedder and code, which take a while to read."""
    embedder: tuple[Any, ...] = ()
    if make.networks is not None:
        chosen = make.networks.embedder
        embedder = (chosen, make.networks.embedder_input, make.networks.precision)
        if chosen and Path(chosen).is_file():
            embedder = (*embedder, digest_of(Path(chosen)))
    return make.protocol.digest, make.publish, embedder, measuring_digest()


def _digest(members: tuple[Anonymizer, ...], common: tuple[Any, ...]) -> str:
    """Return a digest of everything that a family depends on but the time that it had."""
    facts = ([repr(member) for member in members], *common)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _writes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)
