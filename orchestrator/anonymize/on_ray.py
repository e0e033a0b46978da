"""Anonymize files on a Ray cluster: Ray Data hands them to actors that keep the method, whose results are told here."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import platform
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.anonymize.faces.treatment import Ready, Treatment
from orchestrator.anonymize.files import VIDEO, Work
from orchestrator.anonymize.pictures import FAILED, Keeping, Outcome, treat
from orchestrator.anonymize.workers import treated
from orchestrator.cluster.environment import check_address, join
from orchestrator.processes import quietly

BLOCKS = 4000
"""Blocks at most, each a file where they suffice: so much is done again where a machine is lost."""
TRIES = 3
"""A file at which so many processes died, one after the other, has failed."""


class Tries:
    """Count how often each file was begun and not finished, in an actor of its own."""

    def __init__(self) -> None:
        """Begin with none."""
        self.begun: dict[int, int] = {}

    def begin(self, place: int) -> int:
        """Note that a file is begun; return how often it was begun before and not finished."""
        before = self.begun.get(place, 0)
        self.begun[place] = before + 1
        return before

    def end(self, place: int) -> None:
        """Note that a file is finished, in whatever way."""
        self.begun.pop(place, None)


class Treat:
    """Keep the method resident in an actor, and anonymize one file after the other, with one thread."""

    def __init__(
        self, treatment: Treatment, keeping: Keeping, unlinkable: bool, tries: Any, mark: Path, source: Path
    ) -> None:
        """Load what the method needs.

        Args:
            treatment: how.
            keeping: what of a file is kept.
            unlinkable: whether a face of a video is drawn anew in every frame.
            tries: actor of `Tries`.
            mark: file that lies where results are written while they are.
            source: one of the files that are read.
        """
        quietly()
        self.treatment, self.keeping, self.unlinkable, self.tries = treatment, keeping, unlinkable, tries
        self.lacking: ValueError | None = None
        self.ready: Ready | None = None
        for name, path in (("OUT", mark), ("IN", source)):
            if not path.exists():
                self.lacking = ValueError(
                    f"{name}: expected one folder that every machine of the cluster has at the same path, "
                    f"{platform.node()} has another {path.parent}, or none"
                )
                return
        try:
            self.ready = treatment.ready()
        except ValueError as error:
            self.lacking = error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Anonymize the file of a row, and say what came of it, or the error that ends the run."""
        said = self.lacking or self._treated(int(row["place"]), pickle.loads(row["work"]))
        return {"place": row["place"], "said": pickle.dumps(said)}

    def _treated(self, place: int, work: Work) -> Outcome | Exception:
        import ray

        if (died := ray.get(self.tries.begin.remote(place))) >= TRIES:
            return Outcome(FAILED, f"{died} processes died at it, one after the other")
        try:
            return treated(work, self._film if work.kind == VIDEO else self._picture)
        except OSError as error:
            return OSError(str(error))
        finally:
            self.tries.end.remote(place)

    def _picture(self, work: Work) -> Outcome:
        assert self.ready is not None
        return treat(work, self.ready, self.keeping)

    def _film(self, work: Work) -> Outcome:
        from orchestrator.anonymize.video.film import treat_film  # FFmpeg, which pictures do without

        return treat_film(
            work, self.treatment, self.keeping, threads=1, unlinkable=self.unlinkable, done=lambda done, of: None
        )


@contextlib.contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Join a cluster, and leave it on the way out; do nothing without an address.

    Raises:
        ValueError: if it is no address, nothing answers there, or its machines do not fit together.
    """
    if address is None:
        yield
        return
    if address.startswith("ray://"):
        raise ValueError(
            f"--address: expected host:port or auto, on a machine of the cluster, got {address}; Ray Data has no client"
        )
    check_address(address)
    with quiet_backend():
        join(address)
        import ray

        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def quiet_backend() -> Iterator[None]:
    """Keep Ray's native part from warning of how Ray Data makes its actors, and what is started later as it was."""
    level = "RAY_BACKEND_LOG_LEVEL"
    ours = level not in os.environ
    os.environ.setdefault(level, "fatal")
    try:
        yield
    finally:
        if ours:
            os.environ.pop(level, None)


def treat_on_cluster(
    treatment: Treatment,
    keeping: Keeping,
    works: Sequence[Work],
    *,
    unlinkable: bool,
    processes: int | None,
    done: Callable[[Work, Outcome], None],
) -> None:
    """Anonymize files on the cluster that was joined, whose machines see input, output and networks at the same paths.

    A file whose process or machine is lost is given to another one; what was written of it is not to be seen.

    Args:
        treatment: how.
        keeping: what is kept.
        works: pictures and videos.
        unlinkable: whether a face of a video is drawn anew in every frame.
        processes: at most so many; None for one per core.
        done: called with each file, as they are finished.

    Raises:
        ValueError: if the machines do not fit together, or one lacks something that the method needs.
        OSError: if a result cannot be written.
        RuntimeError: if Ray gives up.
    """
    if not works:
        return
    import ray
    import ray.data

    from orchestrator.cluster.preflight import check_cluster

    treatment = treatment.anywhere()
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        check_cluster([str(treatment.networks.folder)], device="cpu")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Videos first: a long one that is begun last would be waited for by all.
    order = sorted(range(len(works)), key=lambda place: works[place].kind != VIDEO)
    rows = [{"place": place, "work": pickle.dumps(works[place].anywhere())} for place in order]
    cores = processes or max(1, int(ray.cluster_resources().get("CPU", 1)))
    tries = ray.remote(Tries).options(num_cpus=0).remote()
    some = works[0].anywhere()
    mark = some.temporary().with_suffix(f".{secrets.token_hex(8)}")
    results = ray.data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS)).map(
        Treat,
        fn_constructor_args=(treatment, keeping, unlinkable, tries, mark, some.source),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(cores, len(rows)), max_tasks_in_flight_per_actor=1),
        num_cpus=1,
    )
    mark.touch()
    try:
        for row in results.iter_rows():
            said: Outcome | Exception = pickle.loads(row["said"])
            if isinstance(said, Exception):
                raise said
            done(works[int(row["place"])], said)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise RuntimeError(f"--address: {' '.join(str(cause).split())[-400:]}; --resume goes on") from None
    finally:
        mark.unlink(missing_ok=True)
