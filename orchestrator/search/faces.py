"""The faces of a search: demo world, prepared set or folder, as a protocol."""

from __future__ import annotations

from rich.console import Console

from evaluators.demo.protocol import demo_protocol
from evaluators.networks.catalog.choice import check_files
from evaluators.protocol import Protocol as FaceProtocol
from orchestrator.search.settings import Settings


def load_protocol(settings: Settings, console: Console) -> FaceProtocol:
    """Load or render the faces and split them by identity."""
    if settings.data is None:
        return demo_protocol(seed=settings.seed)
    from orchestrator.prepare.faces_file import FACES, read_prepared

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
    from evaluators.networks.loaders import load_detector

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
