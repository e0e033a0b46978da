"""Film: one video file, looked through once for its faces and once more to cover them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluators.networks.detection import Detection
from orchestrator.anonymize.faces.covering import Covered, cover
from orchestrator.anonymize.faces.finding import scaled
from orchestrator.anonymize.faces.treatment import Ready, Treatment
from orchestrator.anonymize.files import Work
from orchestrator.anonymize.pictures import CLEAR, COPIED, DONE, FAILED, UNREAD, Keeping, Outcome
from orchestrator.anonymize.video.reading import BROKEN, back, film_of, frames_of, quarter_turns, small, upright
from orchestrator.anonymize.video.remaking import remake
from orchestrator.anonymize.video.tracks import Tracked, follow, is_cut
from orchestrator.records.files import replace_file

GLANCE = (32, 18)
"""Size at which consecutive frames are compared, px."""


def treat_film(
    work: Work,
    treatment: Treatment,
    keeping: Keeping,
    *,
    threads: int,
    unlinkable: bool,
    done: Callable[[int, int], None],
) -> Outcome:
    """Anonymize a video file.

    Args:
        work: source, which is not touched, and target, which is whole or not there.
        treatment: how.
        keeping: what is kept.
        threads: at most so many.
        unlinkable: whether a face is drawn anew in every frame.
        done: called with the frames that were looked at or written, and how many that will be.

    Raises:
        ValueError: if something that the method needs is missing.
        OSError: if the result cannot be written.
    """
    try:
        film = film_of(work.source)
    except (*BROKEN, ValueError) as error:
        return Outcome(UNREAD, _said(error))
    readies = _Readies(treatment)
    readies.get()  # what is missing is said before anything is read
    seen = 0

    def step(count: int) -> None:
        nonlocal seen
        seen += count
        done(seen, max(2 * film.frames, seen))

    temporary = work.temporary()
    try:
        found, cuts, shape = look_through(work, readies, threads=threads, done=step)
        faces = follow(found, cuts, float(film.rate))
        total = sum(map(len, faces))
        if not found:
            return Outcome(UNREAD, "there is no frame in it")
        if not total and not keeping.without_face:
            return Outcome(CLEAR, "", *shape, len(found))
        noted: dict[int, list[Covered]] = {}

        def covered(number: int, frame: Any, form: str) -> Any:
            here = faces[number] if number < len(faces) else []
            if not here and not quarter_turns(frame):
                return frame.reformat(format=form)
            pixels = upright(frame)
            if here:
                noted[number] = _covered(pixels, here, readies.get(), work.name, number, unlinkable)
            return back(pixels, frame, form)

        count = remake(
            work.source, temporary, film, shape, covered, threads=threads, keep_metadata=keeping.metadata, done=step
        )
        if count != len(found):
            return Outcome(FAILED, f"it had {len(found)} frames at first, {count} when it was read again", *shape)
    except (*BROKEN, ValueError, RuntimeError) as error:
        return Outcome(FAILED, _said(error))
    else:
        replace_file(work.target, lambda new: None, temporary=temporary)
    finally:
        temporary.unlink(missing_ok=True)
    rows: list[tuple[int | None, int | None, Covered]] = [
        (number, one.track, what)
        for number, here in enumerate(faces)
        for one, what in zip(here, noted.get(number, []), strict=True)
    ]
    return Outcome(DONE if total else COPIED, "", *shape, count, rows)


def look_through(
    work: Work, readies: _Readies, *, threads: int, done: Callable[[int], None]
) -> tuple[list[list[Detection]], list[bool], tuple[int, int]]:
    """Find the faces of every frame.

    Args:
        work: the video.
        readies: detectors, one for each thread.
        threads: at most so many.
        done: called after each frame with 1.

    Returns:
        faces of each frame, whether a new shot begins with it, and width and height of the upright frames, px.
    """
    side = readies.treatment.look_at_film
    found: list[list[Detection]] = []
    cuts: list[bool] = []
    shape = (0, 0)
    before: NDArray[np.uint8] | None = None

    def look(frame: Any) -> tuple[list[Detection], NDArray[np.uint8]]:
        pixels, scale = small(frame, side)
        faces = [scaled(face, scale) for face in readies.get().finder.detect(pixels, side)]
        gray = cv2.cvtColor(cv2.resize(pixels, GLANCE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        return faces, np.asarray(gray, np.uint8)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[tuple[list[Detection], NDArray[np.uint8]]]] = deque()

        def take(most: int) -> None:
            nonlocal before
            while len(waiting) > most:
                faces, glance = waiting.popleft().result()
                found.append(faces)
                cuts.append(before is not None and is_cut(before, glance))
                before = glance
                done(1)

        for frame in frames_of(work.source):
            turned = quarter_turns(frame) % 2
            shape = (frame.height, frame.width) if turned else (frame.width, frame.height)
            waiting.append(pool.submit(look, frame))
            take(2 * threads)
        take(0)
    return found, cuts, shape


def _covered(
    pixels: NDArray[np.uint8], here: Sequence[Tracked], ready: Ready, name: str, number: int, unlinkable: bool
) -> list[Covered]:
    """Cover the faces of a frame; of one track, they share what is drawn, unless they are to be unlinkable."""
    keys = [f"{name}/{one.track}/{number if unlinkable else ''}" for one in here]
    done = cover(pixels, [one.face for one in here], ready, keys)
    return [replace(what, why=what.why or one.why) for what, one in zip(done, here, strict=True)]


class _Readies:
    """Make the method ready once for each thread: networks and landmarkers are not to be shared."""

    def __init__(self, treatment: Treatment) -> None:
        self.treatment = treatment
        self._own = threading.local()

    def get(self) -> Ready:
        """Return that of this thread."""
        ready: Ready | None = getattr(self._own, "ready", None)
        if ready is None:
            ready = self._own.ready = self.treatment.ready()
        return ready


def _said(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
