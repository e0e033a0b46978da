"""The faces to train on: people whom no evaluation sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.console import Console

from anonymizers import Faces
from anonymizers.signals import mirrored
from evaluators.demo.faces import people
from evaluators.demo.protocol import FIRST_PERSON, faces_of
from evaluators.networks.signals import load_signals, with_measured
from orchestrator.train.task import Task

DEMO_SEED = 7


DEMO_PEOPLE = (6_000, 1_200, 7)
"""First person, people, and pictures of each that the demo generators are trained on; protocols begin at 10,000."""


def training_faces(task: Task, signals: Sequence[str], console: Console) -> Faces:
    """Load the faces to train on, with their signals: people who are background of every search on this set.

    With `min_pictures` those with so many pictures are left out, since a search with as many or more evaluates them;
    the others are the quarter that no seed moves.

    Raises:
        ValueError: if too few are left.
    """
    if task.faces.data is None:
        first, count, pictures = task.demo
        assert first + count <= FIRST_PERSON
        return faces_of(people(first, count, pictures, seed=DEMO_SEED), DEMO_SEED)
    from evaluators.datasets.prepared import protocol_of
    from evaluators.datasets.split import is_background
    from orchestrator.prepare.faces_file import read_prepared

    assert task.networks is not None
    prepared = read_prepared(task.faces.data)
    protocol = protocol_of(
        prepared,
        seed=task.faces.seed,
        min_pictures=task.faces.min_pictures,
        background_faces=task.training.limit,
    )
    faces = protocol.background
    always = [i for i, person in enumerate(faces.identity.tolist()) if is_background(prepared.people[person])]
    faces = faces.take(always)
    if not always:
        raise ValueError(
            f"--data: expected background people to train on, {prepared.name} has none among its "
            f"{len(prepared.people)}; give a larger set"
        )
    console.print(f"{len(faces)} faces of {faces.people} people, background of every search on this set")
    return with_mirrored(with_measured(faces, load_signals(task.networks.folder, signals)))


def with_mirrored(faces: Faces) -> Faces:
    """Return faces and their mirror images, in turn."""
    other = mirrored(faces)
    signals = {
        name: torch.stack((signal, other.signals[name]), 1).flatten(0, 1) for name, signal in faces.signals.items()
    }
    return Faces(
        torch.stack((faces.images, other.images), 1).flatten(0, 1),
        faces.identity.repeat_interleave(2),
        faces.expression.repeat_interleave(2),
        tuple(name for key in faces.key for name in (key, f"{key} mirrored")),
        signals,
    )
