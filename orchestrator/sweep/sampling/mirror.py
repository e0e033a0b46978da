"""The mirror: a sweep's study in a storage of Optuna's, for optuna-dashboard to show while it runs."""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from anonymizers import Anonymizer
from evaluators.metrics.constraints import Constraint
from orchestrator.records.trials import Row

log = logging.getLogger(__name__)

TRIAL = "trial"
"""Attribute by which a trial of the mirror says which trial of the sweep it is."""

STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
"""Status of a trial -> how a dashboard shows it."""


def check_storage(url: str) -> None:
    """Check that a storage can be opened, before any face is loaded.

    Raises:
        ValueError: if it cannot.
    """
    try:
        _opened(url)
    except Exception as error:  # whatever a database's driver raises, its package missing included
        raise _closed(url, error) from error


def _closed(url: str, error: Exception) -> ValueError:
    told = " ".join(str(error).split()).partition(" (Background")[0]
    return ValueError(f"--storage {url}: expected a database or a journal file, {type(error).__name__}: {told}")


class Mirror:
    """Write what is asked and what comes of it to a storage; nothing is read from it but what it has already.

    The ledger stays the truth. While the storage cannot be reached the sweep goes on, and what it missed follows once
    it can be, or with --resume.
    """

    def __init__(
        self,
        url: str,
        name: str,
        objectives: Mapping[str, str],
        constraints: Sequence[Constraint] = (),
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Open or create the study.

        Args:
            url: of a database, as SQLAlchemy has it, or path of a journal file.
            name: of the study.
            objectives: metric name -> "min" or "max".
            constraints: whose violations are told.
            resume: whether a study of that name goes on.
            overwrite: whether it is replaced.

        Raises:
            ValueError: if the storage cannot be opened, or has a study of that name that is not to go on.
        """
        self._objectives = dict(objectives)
        self._constraints = tuple(constraints)
        self._pending: deque[Callable[[], None]] = deque()
        self._away = False
        directions = [{"min": "minimize", "max": "maximize"}[way] for way in objectives.values()]
        try:
            self._storage = _opened(url)
            there = name in optuna.study.get_all_study_names(self._storage)
            if there and overwrite:
                optuna.delete_study(study_name=name, storage=self._storage)
            if there and not (overwrite or resume):
                raise ValueError(f"--storage {url}: has a study {name} already; give another --out, or --overwrite")
            self._study = optuna.create_study(
                study_name=name, storage=self._storage, directions=directions, load_if_exists=resume
            )
            if [way.name.lower() for way in self._study.directions] != directions:
                raise ValueError(f"--storage {url}: its study {name} has other objectives; name another storage")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # names in a dashboard
                self._study.set_metric_names(list(objectives))
            self._study_id = self._storage.get_study_id_from_name(name)
            known = self._study.get_trials(deepcopy=False)
        except ValueError:
            raise
        except Exception as error:  # whatever a database's driver raises, its package missing included
            raise _closed(url, error) from error
        self._ids = {trial.user_attrs[TRIAL]: trial._trial_id for trial in known if TRIAL in trial.user_attrs}
        self._ended = {trial.user_attrs.get(TRIAL) for trial in known if trial.state.is_finished()}

    def begun(self, trial: int, anonymizer: Anonymizer, drawn: optuna.Trial | None) -> None:
        """Show that a trial was asked for.

        Args:
            trial: its number in the sweep.
            anonymizer: its configuration.
            drawn: trial of the sweep's own study, whose parameters are shown; None for an anchor.
        """
        if trial in self._ids:
            return
        every = () if drawn is None else drawn.params
        names = [name for name in every if "." not in name or name.startswith(f"{anonymizer.method}.")]
        params = {} if drawn is None else {name: drawn.params[name] for name in names}
        distributions = {} if drawn is None else {name: drawn.distributions[name] for name in names}

        def write() -> None:
            facts = {TRIAL: trial, "anonymizer": repr(anonymizer)}
            shown = create_trial(state=TrialState.RUNNING, params=params, distributions=distributions, user_attrs=facts)
            self._ids[trial] = self._storage.create_new_trial(self._study_id, shown)

        self._later(write)

    def ended(self, row: Row, violations: Mapping[str, float]) -> None:
        """Show what came of a trial: the objectives of its row, or why it failed."""
        if row["trial"] in self._ended:
            return
        values = None if row["status"] != "complete" else [float(row[name]) for name in self._objectives]
        state = STATES[row["status"]]

        def write() -> None:
            shown = optuna.trial.Trial(self._study, self._ids[row["trial"]])
            if row["error"] is not None:
                shown.set_user_attr("error", row["error"])
            for name, violation in violations.items():
                shown.set_constraint(name, violation)
            self._storage.set_trial_state_values(self._ids[row["trial"]], state, values)

        self._later(write)

    def _later(self, write: Callable[[], None]) -> None:
        """Write what is due, in its order; keep it where the storage is away."""
        self._pending.append(write)
        try:
            while self._pending:
                self._pending[0]()
                self._pending.popleft()
        except Exception as error:  # whatever a database's driver raises
            if not self._away:
                log.warning("the storage cannot be reached, the sweep goes on: %s", error)
            self._away = True
            return
        self._away = False


def _opened(url: str) -> BaseStorage:
    return RDBStorage(url) if "://" in url else JournalStorage(JournalFileBackend(url))
