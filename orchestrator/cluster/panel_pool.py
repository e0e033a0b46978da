"""The pool of panels: one per GPU share or machine, on machines that come and go."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cluster.courier import in_one_line
from orchestrator.cluster.panel_actor import PanelActor
from orchestrator.cluster.panel_seat import Seat, room, shares_of, spread
from orchestrator.cluster.preflight import NodeFacts, complaints, leaving_nodes

MAX_DEATHS = 5
"""A machine on which so many panels in a row died, none having finished a trial since, gets no more."""
PATIENCE = 600.0
"""Seconds that a sweep waits with no panel at all, as when every spot machine was taken away."""
SAID_AFTER = 30.0
"""Seconds after which it is said that no machine has room."""
LOOK_EVERY = 0.5
"""Seconds between looks at the cluster."""

log = logging.getLogger(__name__)


class PanelPool:
    """Keep panels where there is room for them.

    Without a wanted number, every machine gets one per GPU share, or one where the cluster has no GPUs; machines that
    join get theirs, machines that leave give theirs up. With one, so many are kept wherever Ray finds room, which asks
    an autoscaler for machines.
    """

    def __init__(
        self,
        make_panel: Any,
        *,
        wanted: int | None,
        gpus_per_panel: float | None,
        gpus_later: float | None = 0.0,
        here: NodeFacts | None = None,
        files: Sequence[str] = (),
        known: Collection[str] = (),
    ) -> None:
        """Start the first panels.

        Args:
            make_panel: reference to the pickled-by-Ray factory of a panel.
            wanted: number of panels, None for as many as there is room for.
            gpus_per_panel: share of a GPU that each holds; 0 for none, None for what a first panel's footprint allows.
            gpus_later: the same, from the moment at which a machine with a GPU joins a cluster that has none yet.
            here: facts of the driver's machine, which others must match; None where there is no other.
            files: that every machine must have.
            known: ids of the machines that have been checked.
        """
        self.make_panel = ray.cloudpickle.dumps(make_panel)
        self.wanted = wanted
        self.gpus_per_panel = 1.0 if gpus_per_panel is None else gpus_per_panel
        self.measured = gpus_per_panel is not None
        self.gpus_later = gpus_later
        self.here, self.files, self.known = here, files, set(known)
        self.tag = uuid.uuid4().hex[:6]
        self.seats: dict[str, Seat] = {}
        self.deaths: Counter[str] = Counter()
        self.unfit: dict[str, str] = {}  # machine -> what is wrong with it
        self.facts: dict[str, Any] | None = None
        """What the first panel that stood says of itself; the others must have the same networks."""
        self._number = 0
        self._looked = -math.inf
        self._empty_since = math.inf
        self._last = self._told = ""
        self._remote = ray.remote(PanelActor)
        self.keep_up()

    @property
    def free(self) -> list[Seat]:
        """Return the panels that could take a trial, in the order in which they became free."""
        return [seat for seat in self.standing if not (seat.busy or seat.leaving)]

    @property
    def standing(self) -> list[Seat]:
        """Return the panels that have been made."""
        return [seat for seat in self.seats.values() if not seat.coming]

    @property
    def busy(self) -> int:
        """Return the number of panels that a trial is with."""
        return sum(seat.busy for seat in self.seats.values())

    def wait(self, told: Callable[[str], None] = lambda step: None) -> dict[str, Any]:
        """Wait until a panel stands, and return its facts.

        Args:
            told: is told what is waited for.

        Raises:
            Exception: what making the panel raised.
            RuntimeError: if no machine is left to try.
        """
        while not self.standing:
            self.keep_up()
            step = "a panel loads its networks and looks at the clear faces for the first time"
            if not any(seat.placed for seat in self.seats.values()):
                step = f"no machine has room for a panel yet; waiting up to {PATIENCE / 60:.0f} min for one"
            if step != self._told and (step[0] == "a" or time.monotonic() - self._empty_since > SAID_AFTER):
                self._told = step
                told(step)
            time.sleep(0.02)
        assert self.facts is not None
        return self.facts

    def keep_up(self) -> bool:
        """Take up what has changed: panels that stand or died, machines that came, leave or are gone.

        Returns:
            Whether it was time to look at the machines, which it is every LOOK_EVERY seconds.

        Raises:
            Exception: what making the first panel raised.
            RuntimeError: if there is no panel and no machine left to try.
        """
        self._stand()
        if time.monotonic() - self._looked < LOOK_EVERY:
            return False
        self._looked = time.monotonic()
        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        going = leaving_nodes()
        if self.gpus_later != 0 and any(node["Resources"].get("GPU") for node in alive.values()):
            self._take_gpus()
        for seat in list(self.seats.values()):
            gone = bool(seat.node) and seat.node not in alive
            seat.leaving = seat.leaving or seat.node in going
            # A busy panel's trial comes home by its courier, with the reason.
            if not seat.busy and (gone or seat.leaving):
                self._drop(seat, "its machine is gone" if gone else "its place is given up")
        broken = {key for key in alive if self.deaths[key] >= MAX_DEATHS or key in self.unfit}
        self._fill({key: node for key, node in alive.items() if key not in going | broken}, broken)
        # A panel that only waits for a machine is as good as none.
        if any(seat.placed for seat in self.seats.values()):
            self._empty_since = math.inf
            return True
        self._empty_since = min(self._empty_since, time.monotonic())
        if len(broken) == len(alive) or time.monotonic() - self._empty_since > PATIENCE:
            raise RuntimeError(self._hopeless(len(alive), len(going)))
        return True

    def _hopeless(self, alive: int, going: int) -> str:
        dead = sum(self.deaths[key] >= MAX_DEATHS for key in self.deaths)
        said = [f"{alive} are there, {going} are leaving"]
        if dead:
            when = "while they were made" if self.facts is None else "since a trial ended there"
            said.append(f"on {dead} {MAX_DEATHS} panels in a row died {when}, the last one: {self._last}")
        said += [f"one does not fit: {why}" for why in self.unfit.values()]
        share = f" and {self.gpus_per_panel:g} GPU" if self.gpus_per_panel else ""
        said.append(f"no other has 1 CPU{share} free for a panel")
        return f"no machine is left to score on: {'; '.join(said)}; mend them, --resume goes on"

    def take(self) -> Seat | None:
        """Hand out a panel that is free, the one that has been so for longest; None if none is."""
        seat = next(iter(self.free), None)
        if seat is not None:
            seat.busy = True
        return seat

    def give_back(self, name: str, *, answered: bool = True) -> None:
        """Take a panel back from a trial that it has answered, or whose courier was lost on the way."""
        seat = self.seats.pop(name)
        seat.busy = False
        self.seats[name] = seat  # at the end of the queue
        if answered:
            self.deaths[seat.node] = 0

    def died(self, name: str, why: str, *, process: bool) -> bool:
        """Take note that a panel died or cannot be reached while it worked, and let another come in its place.

        Args:
            name: of the panel.
            why: in words.
            process: whether its process ended, rather than its machine being out of reach.

        Returns:
            Whether the configuration may be the cause: the process ended on a machine that is still there.
        """
        seat = self.seats[name]
        there = process and not seat.leaving and any(n["NodeID"] == seat.node and n["Alive"] for n in ray.nodes())
        self._drop(seat, why)
        if there:
            self.deaths[seat.node] += 1
        return there

    def close(self) -> None:
        """End every panel."""
        for seat in list(self.seats.values()):
            ray.kill(seat.actor)
        self.seats.clear()

    def _stand(self) -> None:
        """Look which panels are on a machine, have been made, or failed to be."""
        coming = {seat.coming: seat for seat in self.seats.values() if seat.coming}
        ready, _ = ray.wait(list(coming), num_returns=len(coming), timeout=0) if coming else ([], [])
        for reference in ready:
            seat = coming[reference]
            if seat.name not in self.seats:  # given up meanwhile
                continue
            try:
                said = ray.get(reference)
                if not seat.placed:
                    self._place(seat, *said)
                    continue
                if self.facts is not None and said.get("models") != self.facts.get("models"):
                    raise RuntimeError("its networks are not those of the first panel; let every machine have the same")
            except Exception as error:
                cause = getattr(error, "cause", None) or error
                if isinstance(error, ray.exceptions.RayTaskError) and self.facts is None:
                    raise cause from None  # the run's own mistake, the same on every machine
                self._last = in_one_line(cause)
                self._drop(seat, f"it could not be made: {self._last}")
                self.deaths[seat.node] += 1
                if not seat.node and self.deaths[""] >= MAX_DEATHS:
                    raise RuntimeError(self._hopeless(len(ray.nodes()), 0)) from None
                continue
            seat.coming = None
            seat.held_bytes = said.get("held_bytes", 0)
            if not self.measured:
                self._measure(said)
            self.facts = self.facts or said
            log.info("panel stands", extra={"panel": seat.name, "node": seat.node})

    def _place(self, seat: Seat, node: str, facts: NodeFacts | None) -> None:
        """Let a panel that is on a machine be made there, if the machine fits."""
        seat.node, seat.placed = node, True
        if facts is not None and self.here is not None:
            device = "cuda" if self.gpus_per_panel else "cpu"
            if said := complaints(self.here, [facts], device=device):
                self.unfit[node] = said[0]
                self._drop(seat, said[0])
                return
            self.known.add(node)
        seat.coming = seat.actor.describe.remote(self._neighbors(node))

    def _neighbors(self, node: str) -> int:
        """Return how many panels share the cores of a machine."""
        there = sum(seat.node == node for seat in self.seats.values())
        if self.wanted is None:
            return there
        roomy = sum(bool(n["Alive"]) and room(n, self.gpus_per_panel) > 0 for n in ray.nodes())
        return max(there, math.ceil(self.wanted / max(1, roomy)))

    def _take_gpus(self) -> None:
        """Begin anew with a share of a GPU for each panel, now that there is one."""
        later, self.gpus_later = self.gpus_later, 0.0
        self.gpus_per_panel = 1.0 if later is None else later
        self.measured = later is not None
        for seat in self.seats.values():
            seat.leaving = True

    def _fill(self, nodes: Mapping[str, Mapping[str, Any]], broken: Collection[str]) -> None:
        """Start the panels that are missing."""
        if self.wanted is not None:
            strategy = spread(broken)
            for _ in range(self.wanted - sum(not seat.leaving for seat in self.seats.values())):
                if nodes:
                    self._start("", strategy)
            return
        for key, node in nodes.items():
            for _ in range(room(node, self.gpus_per_panel) - sum(seat.node == key for seat in self.seats.values())):
                self._start(key, NodeAffinitySchedulingStrategy(key, soft=False))
        if nodes and not self.seats:
            self._start("", spread(()))  # for an autoscaler, which brings machines only where they are asked for

    def _measure(self, facts: Mapping[str, Any]) -> None:
        """Choose the share of a GPU by what the first panel holds of one, and begin anew with it if it is smaller."""
        self.measured = True
        found = facts.get("device_bytes")
        shares = shares_of(found)
        log.info("panels per GPU", extra={"reason": f"{shares}, by {found} bytes in use and in all"})
        if shares > 1:
            self.gpus_per_panel = 1 / shares
            for seat in list(self.seats.values()):
                self._drop(seat, f"{shares} panels fit on a GPU")
            self._looked = -math.inf

    def _start(self, node: str, strategy: Any) -> None:
        name = f"panel-{self.tag}-{self._number}"
        self._number += 1
        options = {"name": name, "num_cpus": 1, "num_gpus": self.gpus_per_panel, "scheduling_strategy": strategy}
        actor = self._remote.options(**options).remote(self.make_panel)
        self.seats[name] = Seat(name, actor, actor.arrive.remote(list(self.files), sorted(self.known)), node)

    def _drop(self, seat: Seat, why: str) -> None:
        del self.seats[seat.name]
        log.warning("panel lost", extra={"panel": seat.name, "node": seat.node, "reason": why})
        ray.kill(seat.actor)
