"""Sweep: what has been asked, what came back, and the front so far. The same for both back ends."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anonymizers import ANONYMIZERS, Anonymizer
from evaluators.metrics.constraints import Constraint, is_feasible
from evaluators.metrics.scores import Scores
from orchestrator.records.front import FrontSoFar
from orchestrator.records.ledger import Ledger
from orchestrator.records.trials import ASKED, LOST, STOPPED, TAKEN_FROM, Row
from orchestrator.sweep.outcome import Outcome, is_whole
from orchestrator.sweep.progress import Progress
from orchestrator.sweep.proposals import ANCHORS, Asked, Proposals
from orchestrator.sweep.racing import Racing, Stop
from orchestrator.sweep.sampling.mirror import Mirror
from orchestrator.sweep.study import STALE_GROWTH
from search_spaces import SearchSpace

log = logging.getLogger(__name__)

LEAST_DEATHS, MOST_DEATHS = 3, 10
CHANCE = 1e-3
"""A configuration is broken itself once its panels died so often that machines which let panels die at the rate seen
with all the others would explain it with less than this probability."""


KEPT = ("trial", "status", "error", "method", "anonymizer", TAKEN_FROM, "n_probe")
"""Columns of a row that are kept in memory, besides the objectives."""


@dataclass(frozen=True)
class Proposal:
    """Name a configuration to be scored: its trial number and the anonymizer."""

    trial: int
    anonymizer: Anonymizer


@dataclass(eq=False)
class _Running:
    """Remember a trial that was asked for and is not finished."""

    asked: Asked
    started: float = field(default_factory=time.perf_counter)
    deaths: int = 0
    stop: Stop | None = None
    """Why it is stopped, or would be but for the audit."""


class Sweep:
    """Ask Optuna for configurations, take their outcomes, and keep ledger, front and progress.

    Trials are numbered in the order in which they are asked for. The anchors come first and are not Optuna's. Every
    trial is another configuration: what the sampler proposes again is no trial, see `Proposals`.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Mapping[str, str],
        ledger: Ledger,
        progress: Progress,
        *,
        sampler: str,
        trials: int,
        seed: int,
        time_budget: float | None = None,
        max_faces: int | None = None,
        anchors: bool = True,
        racing: bool = False,
        constraints: Sequence[Constraint] = (),
        stale_after: int | None = None,
        stale_growth: float = STALE_GROWTH,
        earlier: Sequence[Mapping[str, Any]] = (),
        mirror: Mirror | None = None,
    ) -> None:
        """Prepare the study, and replay what the ledger already holds.

        Args:
            space: what may be tried.
            objectives: metric name -> "min" or "max".
            ledger: open; if it has rows, they are replayed so that sampler and sweep stand where they stood.
            progress: told of every finished trial.
            sampler: of `make_sampler`.
            trials: number of configurations besides the anchors; a fixed list is tried whole.
            seed: of the sampler.
            time_budget: s from now after which nothing more is proposed; None for no end.
            anchors: whether they come first.
            racing: whether trials are stopped as soon as finished ones surely dominate them, see `Racing`.
            max_faces: anonymized and measured faces after which nothing more is proposed, those of the ledger counted.
            constraints: that a row must keep to be on the front.
            stale_after: number of trials after which nothing more is proposed if the hypervolume has not grown by
                `stale_growth` in them; None for no end.
            stale_growth: of the hypervolume.
            earlier: rows of an earlier sweep, as the ledger takes them, whose configurations are not measured again;
                they become rows of this sweep when it begins.
            mirror: is told what the study is told.

        Raises:
            ValueError: if the ledger's rows are not what this space, sampler and seed propose.
        """
        self.space = space
        self.objectives = dict(objectives)
        self.ledger = ledger
        self.progress = progress
        begun_with = ledger.sweep.get("trials", trials)  # a sweep that is extended goes on as it began
        self.proposals = Proposals(
            space,
            objectives,
            sampler=sampler,
            trials=trials,
            seed=seed,
            begun_with=begun_with,
            anchors=anchors,
            constraints=constraints,
        )
        self.racing = Racing(objectives, [one.metric for one in constraints], seed=seed) if racing else None
        self.total = self.proposals.total
        self.rows: list[Row] = []
        self.statuses: Counter[str] = Counter()
        self.started = time.perf_counter()
        self.deadline = None if time_budget is None else self.started + time_budget
        self.max_faces = max_faces
        self.constraints = tuple(constraints)
        self.stale_after, self.stale_growth = stale_after, stale_growth
        self._volumes: list[float] = []
        self.faces = 0
        self.front = FrontSoFar(objectives)
        self.exhausted = False
        self._deaths = 0
        self._new_faces = 0
        self._running: dict[int, _Running] = {}
        self._unfinished: list[Proposal] = []
        self._next = 0
        self._mirror = mirror
        self._replay(ledger.events(self._needed))
        if not self._next:
            for row in earlier:
                self._take_over(row)

    @property
    def running(self) -> int:
        """Return the number of trials that panels work on."""
        return len(self._running) - len(self._unfinished)

    @property
    def finished(self) -> bool:
        """Tell whether every trial has ended."""
        return len(self.rows) == self.total

    @property
    def spent(self) -> str | None:
        """Name the budget that is used up, as its option; None while there is some."""
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            return "--time-budget"
        if self.max_faces is not None and self.faces >= self.max_faces:
            return "--max-faces"
        return "--stop-after-stale" if self.is_stale else None

    @property
    def is_stale(self) -> bool:
        """Tell whether the hypervolume has not grown by as much as is wanted for as many trials as are allowed."""
        if self.stale_after is None or len(self._volumes) <= self.stale_after:
            return False
        return self._volumes[-1] - self._volumes[-1 - self.stale_after] < self.stale_growth

    @property
    def _needed(self) -> list[str]:
        """Return the metrics that every complete row must have: the objectives, and what is constrained."""
        return list(dict.fromkeys((*self.objectives, *(one.metric for one in self.constraints))))

    @property
    def faces_per_second(self) -> float:
        """Return the faces that were anonymized and measured per second since the start."""
        return self._new_faces / (time.perf_counter() - self.started)

    def propose(self) -> Proposal | None:
        """Return the next configuration that needs a panel, or None if there is none (now, or any more)."""
        if self.spent:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        return self._ask() if self._next < self.total else None

    def ends(self, trial: int, outcome: Outcome) -> bool:
        """Tell whether a trial ends with an outcome: a whole one, or one after a stage by which it is stopped.

        Anchors are never stopped, nor are trials that are audited; of those it is remembered that they would have been.
        """
        if is_whole(outcome):
            return True
        running = self._running[trial]
        if self.racing is None or running.asked.anonymizer.method in ANCHORS:
            return False
        assert isinstance(outcome, Scores)
        running.stop = running.stop or self.racing.decision(trial, outcome)
        return running.stop is not None and not self.racing.audits(trial)

    def ask_ahead(self, most: int) -> None:
        """Ask for a configuration while no panel waits for one, if fewer than so many are ready to be proposed.

        It is asked for without knowing what comes of the trials that panels work on now, as for one panel more.
        """
        if len(self._unfinished) < most and not self.spent and self._next < self.total:
            proposal = self._ask()
            self._unfinished += [] if proposal is None else [proposal]

    def finish(self, trial: int, outcome: Outcome) -> None:
        """Take the outcome of a trial with which it `ends`: write the row, tell Optuna, count.

        Raises:
            OSError: if the row cannot be written; the trial is then as unfinished as before.
        """
        running = self._running[trial]
        outcome = self._checked(outcome) if is_whole(outcome) else outcome
        seconds = time.perf_counter() - running.started
        row = _row(trial, running.asked.anonymizer, outcome, seconds)
        if running.stop is not None:
            row |= {STOPPED: running.stop.text()}
        self.ledger.append(row)
        del self._running[trial]
        scored = row["scores"]
        slim = self._slim(row if scored is None else row | {**scored.values, "n_probe": scored.n_probe})
        self.proposals.tell(running.asked, self._told(slim))
        ended = {"trial": trial, "status": row["status"], "seconds": round(seconds, 3)}
        log.info("trial ended", extra=ended if row["error"] is None else ended | {"reason": row["error"]})
        self._count(slim, {} if scored is None else scored.replicates)
        if isinstance(outcome, Scores):
            self._new_faces += outcome.n_probe
        self.progress.trial_done(
            row,
            done=len(self.rows),
            total=self.total,
            running=len(self._running),
            failures=self.statuses["failed"],
            front_size=self.front.size,
            hypervolume=self.front.hypervolume,
            faces_per_second=self.faces_per_second,
        )

    def lose(self, trial: int, why: str, *, blamed: bool) -> None:
        """Take a trial back that ended without an outcome: it is proposed again, before anything new.

        Args:
            trial: its number.
            why: what happened, for the ledger.
            blamed: whether the configuration may be the cause, as it may of the death of a panel that worked on it; a
                machine or a messenger that went away says nothing about it. A configuration that is blamed too often
                has failed.
        """
        running = self._running[trial]
        running.deaths += blamed
        running.stop = None
        self._deaths += blamed
        if running.deaths >= self._deaths_allowed(running.deaths):
            self.finish(trial, f"panels died {running.deaths} times while they worked on it; the last time: {why}")
            return
        self.ledger.append(_row(trial, running.asked.anonymizer, why, 0.0) | {"status": LOST, "blamed": blamed})
        self._unfinished.insert(0, Proposal(trial, running.asked.anonymizer))

    def _deaths_allowed(self, own: int) -> int:
        """Return how many deaths prove a configuration broken: the more, the more often panels die anyway."""
        others = self._deaths - own
        rate = (others + 0.1) / (len(self.rows) + others + 1)
        return max(LEAST_DEATHS, min(MOST_DEATHS, math.ceil(math.log(CHANCE) / math.log(rate))))

    def check_closed(self) -> None:
        """Assert that no trial of the study was left running.

        Raises:
            RuntimeError: if one was; its sampler would wait for it for ever.
        """
        left = self.proposals.left_running()
        if left or self._running:
            raise RuntimeError(f"{len(left)} trials of the study were left running: {left[:10]}")

    def _ask(self) -> Proposal | None:
        asked = self.proposals.ask()
        if asked is None:
            self.total, self.exhausted = self._next, True
            return None
        proposal = self._begin(asked)
        self.ledger.append(_row(proposal.trial, asked.anonymizer, None, 0.0) | {"drawn": asked.drawn})
        return proposal

    def _begin(self, asked: Asked) -> Proposal:
        """Give a configuration its number."""
        trial = self._next
        self._next += 1
        self._running[trial] = _Running(asked)
        if self._mirror is not None:
            self._mirror.begun(trial, asked.anonymizer, asked.trial)
        return Proposal(trial, asked.anonymizer)

    def _checked(self, outcome: Outcome) -> Outcome:
        """Turn scores that lack an objective into a failure that says so."""
        if isinstance(outcome, str):
            return outcome
        missing = [name for name in self._needed if outcome.values[name] is None]
        return f"{', '.join(missing)} could not be measured for this configuration" if missing else outcome

    def _told(self, row: Row) -> Mapping[str, float | None] | None:
        """Return what the study is told of a row: of a stopped one its bounds, and a guess of what was not measured."""
        if row["status"] == "stopped" and self.racing is not None:
            return self.racing.guess(row)
        return _measured(row)

    def _count(self, row: Row, replicates: Mapping[str, Any]) -> None:
        """Add a finished row to what is known of the sweep; `replicates` are those of its objectives, by name."""
        self.rows.append(row)
        self.statuses[row["status"]] += 1
        self.faces += 0 if row[TAKEN_FROM] else row["n_probe"] or 0
        if _measured(row) is not None and is_feasible(row, self.constraints):
            self.front.add(row)
            if self.racing is not None:
                self.racing.add(row["trial"], row, replicates)
        if self._mirror is not None:
            self._mirror.ended(row, self._violations(row))
        if row["method"] not in ANCHORS and not row[TAKEN_FROM]:
            self._volumes.append(self.front.hypervolume)

    def _replay(self, events: Sequence[Row]) -> None:
        """Tell the study again what the ledger tells, in its order, so that the sampler knows what it knew.

        The ledger holds questions, with what was drawn for them, and answers in the order in which they happened; no
        sampler is asked. What was asked for and not answered is proposed again first.
        """
        draws = {} if self.racing is None or not events else self.ledger.draws(tuple(self.objectives))
        for event in events:
            trial, status = event["trial"], event["status"]
            if status == ASKED:
                asked = self._recalled(event)
                self.total += self._is_extra(asked, event)
                self._begin(asked)
            elif status == LOST:
                blamed = bool(event["blamed"])
                self._running[trial].deaths += blamed
                self._deaths += blamed
            else:
                row = self._slim(event)
                self.proposals.tell(self._running.pop(trial).asked, self._told(row))
                self._count(row, draws.get(trial, {}))
        self._unfinished = [Proposal(trial, it.asked.anonymizer) for trial, it in sorted(self._running.items())]
        self.total = max(self.total, self._next)  # fewer trials than were asked for already end what is under way

    def _take_over(self, row: Mapping[str, Any]) -> None:
        """Make a row of an earlier sweep one of this, if this space has its configuration."""
        anonymizer = ANONYMIZERS[row["method"]](**row["hyperparameters"])
        asked = self.proposals.adopt(anonymizer)
        if asked is None:
            return
        mark = {TAKEN_FROM: row[TAKEN_FROM]}
        self.total += self._is_extra(asked, mark)
        trial = self._begin(asked).trial
        self.ledger.append(_row(trial, anonymizer, None, 0.0) | {"drawn": asked.drawn} | mark)
        taken = _row(trial, anonymizer, row["scores"], row["seconds"]) | mark
        self.ledger.append(taken)
        del self._running[trial]
        slim = self._slim(taken | {**row["scores"].values, "n_probe": row["scores"].n_probe})
        self.proposals.tell(asked, _measured(slim))
        self._count(slim, row["scores"].replicates)

    def _is_extra(self, asked: Asked, row: Mapping[str, Any]) -> bool:
        """Tell a trial that is not among those that were wanted: taken over, and neither an anchor nor on a list."""
        return row[TAKEN_FROM] is not None and asked.drawn is not None

    def _violations(self, row: Row) -> dict[str, float]:
        """Return by how much a row breaks each constraint."""
        measured = _measured(row)
        return {} if measured is None else {str(one): one.violation(row[one.metric]) for one in self.constraints}

    def _recalled(self, event: Row) -> Asked:
        """Ask as the ledger says that it was asked.

        Raises:
            ValueError: if this space does not have the configuration, or another one comes in its place.
        """
        told = f"the ledger says {event['trial']}: {event['anonymizer']}"
        told += "; give the options and versions of the first run"
        try:
            asked = self.proposals.recall(event["anonymizer"], event["drawn"])
        except ValueError as error:
            raise ValueError(f"--resume: this space does not have what was tried ({error}); {told}") from error
        found = None if asked is None else (self._next, repr(asked.anonymizer))
        if asked is None or found != (event["trial"], event["anonymizer"]):
            raise ValueError(
                "--resume: with this space, sampler and seed "
                + (f"trial {found[0]} is {found[1]}" if found else "nothing is left to try")
                + f", {told}"
            )
        return asked

    def _slim(self, row: Mapping[str, Any]) -> Row:
        """Leave of a row, flat, what is needed while the sweep goes on; the ledger has all of it."""
        return {name: row.get(name) for name in (*KEPT, *self._needed)}


def _measured(row: Row) -> Row | None:
    """Return what a study is told of a row: nothing of one that failed."""
    return row if row["status"] == "complete" else None


def _status(outcome: Outcome | None) -> str:
    if outcome is None or isinstance(outcome, str):
        return ASKED if outcome is None else "failed"
    return "complete" if is_whole(outcome) else "stopped"


def _row(trial: int, anonymizer: Anonymizer, outcome: Outcome | None, seconds: float) -> dict[str, Any]:
    """Make a ledger row: a question (`asked`, no outcome yet) or an answer (`complete`, `stopped` or `failed`)."""
    scores = outcome if isinstance(outcome, Scores) else None
    curves = {} if scores is None else {name: found.plain() for name, found in scores.curves.items()}
    return {
        "trial": trial,
        "status": _status(outcome),
        "error": outcome if isinstance(outcome, str) else None,
        "method": anonymizer.method,
        "anonymizer": repr(anonymizer),
        "hyperparameters": anonymizer.hyperparameters(),
        "scores": scores,
        "curves": json.dumps(curves) if curves else None,
        "seconds": seconds,
    }
