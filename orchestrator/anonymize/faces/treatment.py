"""Treatment: what is done to every face, small enough to send to a process, and made ready there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer, Context, Faces, KSame
from anonymizers.signals import present
from evaluators.datasets.folder import load_faces
from evaluators.datasets.sources.opening import open_source
from evaluators.networks.catalog.choice import Networks, is_path
from evaluators.networks.detection import STEP
from evaluators.networks.loaders import load_detector, load_torch_embedder
from evaluators.networks.signals import check_signals, load_signals, with_measured
from orchestrator.anonymize.faces.finding import FILM_LOOK, LOOK, Finder
from orchestrator.anonymize.faces.pasting import AROUND, BORDER
from orchestrator.prepare.faces_file import read_prepared
from orchestrator.prepare.options import FACES

BACKGROUND = ("inswapper",)
"""Methods that draw people of the background by themselves; k-Same groups faces with them."""
MOST_PEOPLE = 300
"""Of the background, one picture each: a group of k is found among so many in a tenth of a second."""
MOST_DONORS = 2500
"""Pictures of the background, several of each person, for methods that measure them: as many as a search has."""
LEAST_SCORE = 0.3
"""Detector's score from which on something is covered as a face, where nobody says another. Measurements are made with
0.5; here a face too few is worse than one too many."""


@dataclass(frozen=True)
class Treatment:
    """Say how faces are found and anonymized.

    Attributes:
        anonymizer: the configuration.
        crop_px: side of the aligned crops, px.
        networks: folder of models, detector, and, where the method asks them, embedder and teller.
        seed: secret of the one who anonymizes.
        background: prepared set, or folder of a folder of pictures per person, for methods that need people.
        look: side at which pictures and videos are looked at for small faces, px; None for LOOK and FILM_LOOK.
        least_score: of what counts as a face.
        around, border: rim and soft border, px of the 112 px crop.
    """

    anonymizer: Anonymizer
    crop_px: int
    networks: Networks
    seed: int = 0
    background: Path | None = None
    look: int | None = None
    least_score: float = LEAST_SCORE
    around: float = AROUND
    border: float = BORDER

    def check(self) -> None:
        """Check what the method needs, before anything is loaded.

        Raises:
            ValueError: if the method anonymizes nothing, or what it needs is missing; the sentence says how to get it.
        """
        method = self.anonymizer
        if method.method in ("identity", "word"):
            raise ValueError(
                f"--method: expected a method that anonymizes, {method.method} is an anchor of measurements: "
                f"{type(method).__doc__ or ''}".partition("\n")[0]
            )
        method.network(self.networks.models)
        check_signals(self.networks.folder, self.signals)
        if self.needs_people and self.background is None:
            raise ValueError(
                f"{method.method}: expected people to draw from besides the faces of your pictures, got none; give "
                "--background FACES, a prepared set or a folder of one folder of pictures per person"
            )

    @property
    def needs_people(self) -> bool:
        """Tell whether the method cannot work without people of a background."""
        method = self.anonymizer
        return isinstance(method, KSame) or method.method in BACKGROUND or bool(method.background_needs)

    @property
    def signals(self) -> tuple[str, ...]:
        """Return what must be measured of the faces, or of the background."""
        return tuple(dict.fromkeys((*self.anonymizer.needed(), *self.anonymizer.background_needs)))

    def anywhere(self) -> Treatment:
        """Return the same for a process that has another working folder: paths are absolute."""
        background = None if self.background is None else self.background.absolute()
        return replace(self, networks=self.networks.anywhere(), background=background)

    @property
    def look_at_picture(self) -> int:
        """Return the side at which a picture is looked at, px, a multiple of STEP."""
        return LOOK if self.look is None else self.look // STEP * STEP

    @property
    def look_at_film(self) -> int:
        """Return the side at which a frame of a video is looked at, px, a multiple of STEP."""
        return FILM_LOOK if self.look is None else self.look // STEP * STEP

    def ready(self, finder: Finder | None = None) -> Ready:
        """Load what is needed, for one thread.

        Args:
            finder: of faces; None for the detector among the networks.

        Raises:
            ValueError: if something is missing.
        """
        folder, chosen = self.networks.folder, self.networks.settled()
        if finder is None:
            finder = load_detector(folder, self.networks.detector, threads=1, threshold=self.least_score)
        measures = load_signals(folder, self.signals, threads=1, teller=self.networks.teller)
        context = Context(seed=self.seed, models=folder)
        if self.anonymizer.needs_embedder:
            name = Path(chosen.embedder).stem if is_path(chosen.embedder) else chosen.embedder
            net = load_torch_embedder(folder, "--embedder", chosen.embedder, chosen.embedder_input, "cpu", "float32")
            context = replace(context, embed=net.embed, embedder=name)
        if self.background is not None and self.needs_people:
            context = replace(context, background=with_measured(self._people(finder), measures))
        return Ready(self, finder, measures, context)

    def _people(self, finder: Finder) -> Faces:
        """Read a picture of each person of the background; several where the method measures them.

        Raises:
            ValueError: if there are none, or their crops are of another size.
        """
        assert self.background is not None
        several = bool(self.anonymizer.background_needs)
        if (self.background / FACES).is_file():
            faces = read_prepared(self.background).faces
            first = {person: row for row, person in reversed(list(enumerate(faces.identity.tolist())))}
            faces = faces.take(range(len(faces))[:MOST_DONORS] if several else sorted(first.values())[:MOST_PEOPLE])
        else:
            source = open_source(self.background, option="--background")
            pictures = list(source.pictures)[:MOST_DONORS]
            if not several:
                one_each = {picture.identity: picture for picture in reversed(source.pictures)}
                pictures = list(reversed(one_each.values()))[:MOST_PEOPLE]
            number = {name: place for place, name in enumerate(dict.fromkeys(one.identity for one in pictures))}
            people = [number[one.identity] for one in pictures]
            faces, _ = load_faces(
                source.root, [source.root / one.path for one in pictures], people, finder, size=self.crop_px
            )
        if len(faces) and faces.size != self.crop_px:
            raise ValueError(
                f"--background: expected crops of {self.crop_px} px, as the configuration's, got {faces.size}; prepare "
                f"them with --size {self.crop_px}"
            )
        least = getattr(self.anonymizer, "k", getattr(self.anonymizer, "people", 1))
        if faces.people < least:
            raise ValueError(
                f"--background: expected at least {least} people for {self.anonymizer!r}, got {faces.people}; give more"
            )
        return replace(faces, key=tuple(f"background/{n}" for n in range(len(faces))))


@dataclass(frozen=True)
class Ready:
    """Keep what anonymizes faces resident in a process.

    Attributes:
        treatment: how.
        finder: of faces.
        measures: of signals.
        context: of the method.
    """

    treatment: Treatment
    finder: Finder
    measures: Mapping[str, Callable[[Tensor], Tensor]]
    context: Context

    def anonymize(self, crops: Tensor, keys: tuple[str, ...]) -> tuple[Tensor, list[str]]:
        """Anonymize the crops of different people.

        Args:
            crops: (N, 3, S, S) uint8.
            keys: N names, of which each face's randomness derives.

        Returns:
            (N, 3, S, S) uint8, and N reasons why a face became black; "" where it did not.
        """
        method = self.treatment.anonymizer
        n = len(crops)
        faces = Faces(crops, torch.arange(n), torch.full((n,), -1), keys)
        faces = with_measured(faces, self.measures)
        why = [""] * n
        for name in method.needed():
            for place, seen in enumerate(present(faces.signals[name]).tolist()):
                if not seen:
                    why[place] = why[place] or f"its {name} could not be measured"
        try:
            return self._released(faces), why
        except (ValueError, RuntimeError) as error:
            if n == 1:
                return torch.zeros_like(crops), [why[0] or _line(error)]
        each = [self.anonymize(crops[place : place + 1], keys[place : place + 1]) for place in range(n)]
        return torch.cat([one for one, _ in each]), [reason for _, (reason,) in each]

    def _released(self, faces: Faces) -> Tensor:
        """Run the method; one that groups faces gets the people of the background beside them."""
        people = self.context.background
        if people is None or not isinstance(self.treatment.anonymizer, KSame):
            return self.treatment.anonymizer(faces, self.context)
        together = Faces(
            torch.cat([faces.images, people.images]),
            torch.cat([faces.identity, people.identity + len(faces)]),
            torch.cat([faces.expression, torch.full((len(people),), -1)]),
            (*faces.key, *people.key),
            {name: torch.cat([signal, people.signals[name]]) for name, signal in faces.signals.items()},
        )
        return self.treatment.anonymizer(together, self.context)[: len(faces)]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def applied_names() -> list[str]:
    """List the methods that can be applied."""
    return [name for name in ANONYMIZERS if name not in ("identity", "word")]
