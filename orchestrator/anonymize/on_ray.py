"""Anonymize files on a Ray cluster: Ray Data hands them to actors that keep the method, whose results are told here."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.anonymize.faces.treatment import Ready, Treatment
from orchestrator.anonymize.files import VIDEO, Work
from orchestrator.anonymize.pictures import Keeping, Outcome, treat
from orchestrator.anonymize.workers import quietly, treated
from orchestrator.cluster.environment import join

BLOCKS = 4000
"""Blocks at most, each a file where they suffice: so much is done again where a machine is lost."""


class Treat:
    """Keep the method resident in an actor, and anonymize one file after the other, with one thread."""

    def __init__(self, treatment: Treatment, keeping: Keeping, unlinkable: bool) -> None:
        """Load what the method needs."""
        quietly()
        self.treatment, self.keeping, self.unlinkable = treatment, keeping, unlinkable
        self.ready: Ready = treatment.ready()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Anonymize the file of a row, and say what came of it."""
        work: Work = pickle.loads(row["work"])
        outcome = treated(work, self._film if work.kind == VIDEO else self._picture)
        return {"place": row["place"], "outcome": pickle.dumps(outcome)}

    def _picture(self, work: Work) -> Outcome:
        return treat(work, self.ready, self.keeping)

    def _film(self, work: Work) -> Outcome:
        from orchestrator.anonymize.video.film import treat_film  # FFmpeg, which pictures do without

        return treat_film(
            work, self.treatment, self.keeping, threads=1, unlinkable=self.unlinkable, done=lambda done, of: None
        )


def treat_on_cluster(
    treatment: Treatment,
    keeping: Keeping,
    works: Sequence[Work],
    *,
    unlinkable: bool,
    address: str,
    done: Callable[[Work, Outcome], None],
) -> None:
    """Anonymize files on every core of a cluster, whose machines see input, output and networks under the same paths.

    A file whose machine is lost is given to another one; what was written of it is not to be seen.

    Args:
        treatment: how.
        keeping: what is kept.
        works: pictures and videos.
        unlinkable: whether a face of a video is drawn anew in every frame.
        address: of the cluster, or "local".
        done: called with each file, as they are finished.

    Raises:
        ValueError: if nothing answers at the address.
        RuntimeError: if an actor cannot make the method ready, or a result cannot be written.
    """
    if not works:
        return
    join(address)
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"place": place, "work": pickle.dumps(work)} for place, work in enumerate(works)]
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    results = ray.data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS)).map(
        Treat,
        fn_constructor_args=(treatment, keeping, unlinkable),
        concurrency=(1, min(cores, len(rows))),
        num_cpus=1,
    )
    try:
        for row in results.iter_rows():
            done(works[int(row["place"])], pickle.loads(row["outcome"]))
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"--address {address}: {' '.join(str(error).split())[:400]}; --resume goes on") from None
    finally:
        ray.shutdown()
