"""The faces of a search: demo world, prepared set or folder, as a protocol."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.networks.catalog.choice import Networks, check_files
from evaluators.options import option

if TYPE_CHECKING:
    from rich.console import Console

    from anonymizers import Anonymizer
    from evaluators.datasets.protocol import Protocol


@dataclass(frozen=True)
class FaceChoice:
    """Choose the faces, and how they are split."""

    data: Path | None = option(
        None,
        "Folder of one folder of pictures per person, or of a prepared set.",
        shown="the demo world",
    )
    seed: int = option(0, "Of splits, sampler, anonymizers, attackers and bootstrap.", least=0, lasting=True)
    min_pictures: int | None = option(
        None,
        "Evaluate all people with at least so many pictures, and nobody else.",
        least=2,
        lasting=True,
        needs="real faces",
    )
    max_pictures: int | None = option(
        None, "Draw at most so many pictures of each person.", least=2, lasting=True, needs="real faces"
    )
    attacker_faces: int = option(
        2500,
        "Faces of other people to train the adapted reader on, at most.",
        least=1,
        lasting=True,
        needs="real faces",
    )
    background_faces: int = option(
        2500,
        "Faces of people from whom methods are built and averaged, at most.",
        least=0,
        lasting=True,
        needs="real faces",
    )
    depth: int | None = option(
        None,
        "How deep the people's folders lie in --data: 1 for people in it, 2 for parts with people in them.",
        least=1,
        lasting=True,
        shown="found out where it is plain",
        needs="a folder of pictures",
    )
    groups: Path | None = option(
        None,
        "CSV table of people, a column for each attribute, such as gender or age: rates are told by group too.",
        lasting=True,
        needs="real faces",
    )

    @property
    def world(self) -> str:
        """Return "demo" or "folder"."""
        return "demo" if self.data is None else "folder"

    @property
    def name(self) -> str:
        """Return what a results folder calls them."""
        return "demo" if self.data is None else self.data.resolve().name or "faces"


def trained_on(methods: Iterable[Anonymizer], models: Path | None) -> frozenset[str]:
    """Return the digests of the people whom the networks of methods say that they were trained on.

    Args:
        methods: of the search.
        models: folder of networks; None for the demo's.
    """
    from anonymizers.generative.resident import trained_people

    paths = {path for method in methods if (path := method.network(models)) is not None}
    return frozenset[str]().union(*(trained_people(path) for path in paths))


def load_protocol(
    faces: FaceChoice,
    networks: Networks | None,
    console: Console,
    signals: Sequence[str] = (),
    trained: Collection[str] = (),
) -> Protocol:
    """Load or render the faces and split them by identity.

    Args:
        faces: the choice.
        networks: real ones, whose detector finds the faces of a folder; None for the demo world.
        console: is told how far it is.
        signals: that methods draw from, whose networks must be there.
        trained: digests of people whom the methods' networks were trained on, who become background.

    Raises:
        ValueError: if the faces cannot carry a measurement, or a network is missing.
    """
    if faces.data is None:
        from evaluators.demo import demo_protocol

        return demo_protocol(seed=faces.seed)
    from evaluators.networks.loaders import load_detector, try_networks
    from evaluators.networks.signals import check_signals
    from orchestrator.prepare.faces_file import read_prepared
    from orchestrator.prepare.options import FACES

    split = {
        "seed": faces.seed,
        "min_pictures": faces.min_pictures,
        "max_pictures": faces.max_pictures,
        "attacker_faces": faces.attacker_faces,
        "background_faces": faces.background_faces,
        "trained": trained,
    }
    if (faces.data / FACES).is_file():
        if networks is not None:
            check_files(networks)
            try_networks(networks)
            check_signals(networks.folder, signals)
        from evaluators.datasets.prepared import protocol_of

        return protocol_of(read_prepared(faces.data), **split)  # type: ignore[arg-type]
    from evaluators.datasets.folder import folder_protocol
    from evaluators.datasets.sources.opening import read_people

    source, _ = read_people(
        faces.data, faces.depth
    )  # a folder that cannot serve is refused before any network is loaded
    assert networks is not None
    check_files(networks)
    try_networks(networks)
    check_signals(networks.folder, signals)
    for what, count in source.ignored.items():
        console.print(f"{faces.data}: ignored, {what}: {count}", markup=False, soft_wrap=True)
    with console.status("faces") as status:
        return folder_protocol(
            faces.data,
            load_detector(networks.folder, networks.settled().detector),
            **split,  # type: ignore[arg-type]
            depth=faces.depth,
            progress=lambda done, total: status.update(f"faces: {done} of {total} pictures found and aligned"),
        )
