"""Which faces a benchmark measures on: the demo world, or a set with real networks, split as a search splits it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from evaluators.datasets.protocol import Protocol
from evaluators.networks.catalog.choice import Networks
from orchestrator.cluster.code import commit_here


def chosen_faces(
    about: str | None, demo: Callable[[], Protocol], signals: Sequence[str] = ()
) -> tuple[Protocol, Networks | None, str]:
    """Read the command line, and load the faces that it names.

    Args:
        about: the benchmark's docstring.
        demo: makes the demo world's, where the command line names none.
        signals: that are measured of the real ones.

    Returns:
        The faces, the choice of real networks, None on the demo world, and the commit.
    """
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="faces; without it the demo world")
    parser.add_argument("--models", type=Path, help="folder of real networks; needed with --data")
    parser.add_argument("--min-pictures", type=int, default=10)
    parser.add_argument("--max-pictures", type=int, default=10)
    chosen = parser.parse_args()
    commit = commit_here()
    if chosen.data is None:
        return demo(), None, commit
    from orchestrator.search.faces import FaceChoice, load_protocol

    networks = Networks(models=chosen.models, backend_nets="onnx")
    faces = FaceChoice(data=chosen.data, min_pictures=chosen.min_pictures, max_pictures=chosen.max_pictures)
    return load_protocol(faces, networks, Console(stderr=True), signals), networks, commit
