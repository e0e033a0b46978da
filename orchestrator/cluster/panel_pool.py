"""The pool of panels: one per GPU share or machine, on machines that come and go."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cluster.courier import in_one_line
from orchestrator.cluster.panel_actor import PanelActor

MAX_DEATHS = 5
"""A machine on which so many panels in a row died, none having finished a trial since, gets no more."""
FILLED = 0.9
"""Share of a GPU's memory that panels may fill together."""
MOST_SHARES = 8
PATIENCE = 600.0
"""Seconds that a sweep waits with no panel at all, as when every spot machine was taken away."""
LOOK_EVERY = 0.5
"""Seconds between looks at the cluster."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Seat:
    """Say of one panel where it is and what it does.

    Attributes:
        name: of the actor.
        actor: its handle.
        standing: reference to what `describe` returns, while the panel is being made; None once it stands.
        node: id of its machine, "" until known.
        busy: whether a trial is with it.
        leaving: whether its machine goes away, so that it gets no more trials.
        held_bytes: of memory, when it was made.
    """

    name: str
    actor: Any
    standing: Any
    node: str
    busy: bool = False
    leaving: bool = False
    held_bytes: int = 0


class PanelPool:
    """Keep panels where there is room for them.

    Without a wanted number, every machine gets one per GPU share, or one where the cluster has no GPUs; machines that
    join get theirs, machines that leave give theirs up. With one, so many are kept wherever Ray finds room, which asks
    an autoscaler for machines.
    """

    def __init__(self, make_panel: Any, *, wanted: int | None, gpus_per_panel: float | None) -> None:
        """Start the first panels.

        Args:
            make_panel: reference to the pickled-by-Ray factory of a panel.
            wanted: number of panels, None for as many as there is room for.
            gpus_per_panel: share of a GPU that each holds; 0 for none, None for what a first panel's footprint allows.
        """
        self.make_panel = ray.cloudpickle.dumps(make_panel)
        self.wanted = wanted
        self.gpus_per_panel = 1.0 if gpus_per_panel is None else gpus_per_panel
        self.measured = gpus_per_panel is not None
        self.tag = uuid.uuid4().hex[:6]
        self.seats: dict[str, Seat] = {}
        self.deaths: Counter[str] = Counter()
        self.facts: dict[str, Any] | None = None
        """What the first panel that stood says of itself; the others must have the same networks."""
        self._number = 0
        self._looked = -math.inf
        self._empty_since = math.inf
        self._remote = ray.remote(PanelActor)
        self.keep_up()

    @property
    def free(self) -> list[Seat]:
        """Return the panels that could take a trial, in the order in which they became free."""
        return [seat for seat in self.seats.values() if not (seat.standing or seat.busy or seat.leaving)]

    @property
    def standing(self) -> list[Seat]:
        """Return the panels that have been made."""
        return [seat for seat in self.seats.values() if not seat.standing]

    @property
    def busy(self) -> int:
        """Return the number of panels that a trial is with."""
        return sum(seat.busy for seat in self.seats.values())

    def wait(self) -> dict[str, Any]:
        """Wait until a panel stands, and return its facts.

        Raises:
            Exception: what making the panel raised.
            RuntimeError: if no machine is left to try.
        """
        while not self.standing:
            self.keep_up()
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
        for seat in list(self.seats.values()):
            gone = bool(seat.node) and seat.node not in alive
            seat.leaving = seat.leaving or seat.node in going
            # A busy panel's trial comes home by its courier, with the reason.
            if not seat.busy and (gone or seat.leaving):
                self._drop(seat, "its machine is gone" if gone else "its machine is leaving")
        usable = {key: node for key, node in alive.items() if key not in going and self.deaths[key] < MAX_DEATHS}
        self._fill(usable)
        if self.seats:
            self._empty_since = math.inf
            return True
        self._empty_since = min(self._empty_since, time.monotonic())
        broken = sum(self.deaths[key] >= MAX_DEATHS for key in alive)
        if broken == len(alive) or time.monotonic() - self._empty_since > PATIENCE:
            raise RuntimeError(
                f"no machine is left to score on: {len(alive)} are there, on {broken} of them {MAX_DEATHS} panels died "
                f"in a row, {len(going)} are leaving, none has room for a panel; mend them, --resume goes on"
            )
        return True

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
        """Look which panels have been made, or failed to be."""
        making = {seat.standing: seat for seat in self.seats.values() if seat.standing}
        ready, _ = ray.wait(list(making), num_returns=len(making), timeout=0) if making else ([], [])
        for reference in ready:
            seat = making[reference]
            if seat.name not in self.seats:  # given up meanwhile
                continue
            try:
                seat.node, facts = ray.get(reference)
                if self.facts is not None and facts.get("models") != self.facts.get("models"):
                    raise RuntimeError("its networks are not those of the first panel; let every machine have the same")
            except Exception as error:
                cause = getattr(error, "cause", None) or error
                if isinstance(error, ray.exceptions.RayTaskError) and self.facts is None:
                    raise cause from None  # the run's own mistake, the same on every machine
                self._drop(seat, f"it could not be made: {in_one_line(cause)}")
                self.deaths[seat.node] += 1
                if self.facts is None and sum(self.deaths.values()) >= MAX_DEATHS:
                    raise RuntimeError(
                        f"{MAX_DEATHS} panels in a row died while they were made, the last one: {cause}; see Ray's logs"
                    ) from None
                continue
            seat.standing = None
            seat.held_bytes = facts.get("held_bytes", 0)
            if not self.measured:
                self._measure(facts)
            self.facts = self.facts or facts
            log.info("panel stands", extra={"panel": seat.name, "node": seat.node})

    def _fill(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """Start the panels that are missing."""
        if self.wanted is not None:
            neighbors = math.ceil(self.wanted / max(1, len(nodes)))
            for _ in range(self.wanted - sum(not seat.leaving for seat in self.seats.values())):
                self._start("", neighbors, "SPREAD")
            return
        for key, node in nodes.items():
            if self.gpus_per_panel:
                room = int(node["Resources"].get("GPU", 0) / self.gpus_per_panel + 1e-9)
            else:
                room = int(node["Resources"].get("CPU", 0) >= 1)
            for _ in range(room - sum(seat.node == key for seat in self.seats.values())):
                self._start(key, room, NodeAffinitySchedulingStrategy(key, soft=False))

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

    def _start(self, node: str, neighbors: int, strategy: Any) -> None:
        name = f"panel-{self.tag}-{self._number}"
        self._number += 1
        options = {"name": name, "num_cpus": 1, "num_gpus": self.gpus_per_panel, "scheduling_strategy": strategy}
        actor = self._remote.options(**options).remote(self.make_panel, neighbors)
        self.seats[name] = Seat(name, actor, actor.describe.remote(), node)

    def _drop(self, seat: Seat, why: str) -> None:
        del self.seats[seat.name]
        log.warning("panel lost", extra={"panel": seat.name, "node": seat.node, "reason": why})
        ray.kill(seat.actor)


def shares_of(device_bytes: tuple[int, int] | None) -> int:
    """Return how many panels fit on a GPU.

    Args:
        device_bytes: in use by the first panel, alone there, and in all; None where there is no GPU.
    """
    if device_bytes is None:
        return 1
    held, total = device_bytes
    return max(1, min(MOST_SHARES, int(FILLED * total / max(1, held))))


def leaving_nodes() -> set[str]:
    """Return the ids of the machines that were given notice, as spot machines are before they are taken away."""
    # Ray tells it nowhere else; its own Train and Serve ask here too.
    return set(ray._private.state.state.get_draining_nodes())
