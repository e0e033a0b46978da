"""What a sampler is shown: few of many trials, the same after a resumption, and all that a genetic one looks at."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from benchmarks.samplers import truth
from orchestrator.records.ledger import Ledger
from orchestrator.sweep.inprocess import InProcess
from orchestrator.sweep.outcome import outcome_of
from orchestrator.sweep.proposals import Proposals
from orchestrator.sweep.sampling import shown
from orchestrator.sweep.sampling.relative import TPE
from orchestrator.sweep.sampling.shown import Few
from orchestrator.sweep.study import FIRST, make_sampler, population
from search_spaces import SPACES, SearchSpace
from tests.helpers.fake_panel import OBJECTIVES, FakePanel
from tests.helpers.sweeps import ended, sweep_of, whole

SPACE = SPACES["classical_and_generator"]


def proposed(sampler: str, trials: int, panels: int = 7) -> Iterator[str]:
    """Name what is proposed to several panels that take different times."""
    objectives = dict.fromkeys(truth(SPACES["classical_grid"].configurations[0]), "min")
    proposals = Proposals(SPACE, objectives, sampler=sampler, trials=trials, seed=1, begun_with=60)
    chance, running = random.Random(0), []
    for _ in range(trials):
        if len(running) == panels:
            asked = running.pop(chance.randrange(panels))
            failed = chance.random() < 0.05
            proposals.tell(asked, None if failed else truth(asked.anonymizer))
        asked = proposals.ask()
        assert asked is not None
        running.append(asked)
        yield repr(asked.anonymizer)


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_a_genetic_sampler_proposes_what_it_would_if_it_were_shown_all(
    sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list(proposed(sampler, 120))
    every = shown.Shown.get_all_trials
    sizes = []

    def all_of_them(self: shown.Shown, study_id: int, deepcopy: bool = True, states: object = None) -> object:
        if self._few is not None:
            sizes.append((len(self._few), len(optuna.storages.InMemoryStorage.get_all_trials(self, study_id, False))))
            self._few = None
        return every(self, study_id, deepcopy, states)  # type: ignore[arg-type]

    monkeypatch.setattr(shown.Shown, "get_all_trials", all_of_them)
    assert list(proposed(sampler, 120)) == few
    assert len(set(few)) == 120 and max(there for there, _ in sizes) < max(of for _, of in sizes) / 2


def test_the_best_are_shown_and_of_the_rest_some_of_every_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SLACK", 10)
    few, chance = Few(most=40), random.Random(3)
    trials: dict[int, tuple[float, tuple[float, float]]] = {}
    for number in range(1000):
        few.begun(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING))
        few._running = {number: None}
        risk = chance.random()
        trials[number] = (0.0, (1 + risk, 2 - risk) if chance.random() < 0.9 else (risk, 1 - risk))
        if number % 10 == 7:
            few.ended(number, None, 0.0)  # failed
            del trials[number]
        else:
            few.ended(number, trials[number][1], 0.0)
    chosen = few.chosen()
    assert 40 <= len(chosen) < 50
    good = [number for number in chosen if sum(trials[number][1]) < 2]
    assert 20 <= len(good) <= 32  # half of them, what came since, and few by chance
    risks = sorted(trials[number][1][0] for number in good)
    assert risks[0] < 0.1 and risks[-1] > 0.9 and max(b - a for a, b in itertools.pairwise(risks)) < 0.25
    rest = sorted(set(chosen) - set(good))
    assert rest[0] < 250 and rest[-1] > 750 and any(400 < number < 600 for number in rest)


def test_running_trials_are_shown_until_they_end() -> None:
    few = Few()
    for number in range(3):
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        trial.number = number
        few.begun(trial)
    few.ended(1, (0.5, 0.5), 0.0)
    few.ended(2, None, 0.0)
    assert sorted(few.chosen()) == [0, 1]


def test_those_that_break_constraints_least_follow_the_feasible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SLACK", 2)
    few = Few(most=4)
    for number, violation in enumerate((0.0, 0.3, 0.1, 0.2, 0.9, 0.8)):
        few._running[number] = None
        few.ended(number, (1 - number / 10, 1 - number / 10), violation)
    assert {0, 2} <= set(few.chosen()) and len(few.chosen()) == 4


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "gp", "qmc", "random"])
def test_a_resumed_sweep_is_told_what_was_drawn_and_asks_no_sampler(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole(tmp_path, sampler=sampler, trials=14)

    def asked(*given: object) -> object:
        raise AssertionError("a sampler was asked")

    for kind in (optuna.samplers.TPESampler, optuna.samplers.NSGAIISampler, optuna.samplers.GPSampler):
        monkeypatch.setattr(kind, "sample_relative", asked)
    monkeypatch.setattr(optuna.samplers.RandomSampler, "sample_independent", asked)
    with Ledger.open(tmp_path / "ledger.arrow") as ledger:
        sweep = sweep_of(ledger, sampler=sampler, trials=14)
        assert sweep.finished
        sweep.check_closed()


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "gp", "qmc"])
def test_with_trials_in_flight_too_a_resumed_sweep_goes_on_as_it_would_have(sampler: str, tmp_path: Path) -> None:
    """Cut off anywhere: what is proposed next depends on what was proposed and answered, in that order, alone."""
    names: dict[int, list[str]] = {}
    for cut in (0, 9, 20, 33):
        path, panel = tmp_path / f"{cut}.arrow", FakePanel()
        Ledger.create(path, {"objectives": OBJECTIVES, "trials": 30}).close()
        ledger = Ledger.open(path)
        sweep = sweep_of(ledger, sampler=sampler, trials=30)
        running: list = []
        names[cut] = []
        for step in range(40):
            if step == cut:
                ledger.close()
                ledger = Ledger.open(path)
                sweep = sweep_of(ledger, sampler=sampler, trials=30)
                again = [sweep.propose() for _ in running]
                assert sorted(p.trial for p in again) == sorted(p.trial for p in running)
            if step % 5 == 4 or len(running) == 4:
                done = running.pop(step % len(running))
                sweep.finish(done.trial, outcome_of(panel, done.anonymizer))
            else:
                running.append(sweep.propose())
                names[cut].append(repr(running[-1].anonymizer))
        ledger.close()
    assert names[9] == names[20] == names[33] == names[0]


def test_a_ledger_of_another_order_is_refused(tmp_path: Path) -> None:
    """The row of a trial that repeats an earlier one is no row that a sweep wrote."""
    path = tmp_path / "ledger.arrow"
    with Ledger.create(path, {"objectives": OBJECTIVES}) as ledger:
        sweep = sweep_of(ledger, sampler="random", trials=5)
        InProcess(FakePanel).run(sweep)
        last = next(row for row in reversed(ledger.events([])) if row["status"] == "asked")
        row = {name: last[name] for name in ("method", "anonymizer", "drawn")}
        ledger.append(
            {**row, "trial": 99, "status": "asked", "error": None, "scores": None, "seconds": 0.0}
            | {"hyperparameters": {}}
        )
        assert len(ended(ledger)) == 8
    with Ledger.open(path) as ledger, pytest.raises(ValueError, match="give the options and versions"):
        sweep_of(ledger, sampler="random", trials=5)


@pytest.mark.filterwarnings("ignore:NSGAIIISampler is experimental")
@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_genetic_samplers_draw_as_optunas_own(sampler: str) -> None:
    theirs = {"nsga2": optuna.samplers.NSGAIISampler, "nsga3": optuna.samplers.NSGAIIISampler}[sampler]
    drawn = []
    for ours in (True, False):
        study = optuna.create_study(directions=["minimize", "maximize"])
        for n in range(40):
            whose = make_sampler(sampler, seed=n, trials=80)
            study.sampler = whose if ours else theirs(seed=n, population_size=population(80))
            trial = study.ask()
            SPACE.suggest(trial, flat=True)
            study.tell(trial, [len(str(trial.params)), n % 7])
        drawn.append([one.params for one in study.get_trials(deepcopy=False)])
    assert drawn[0] == drawn[1]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_tpe_draws_as_optunas_own_in_a_space_of_one_method() -> None:
    own = optuna.samplers.TPESampler
    spaces, drawn = SearchSpace("one", methods=("donors",)), []
    for ours in (True, False):
        study = optuna.create_study(directions=["minimize", "maximize"])
        for n in range(30):
            theirs = own(seed=n, multivariate=True, group=True, constant_liar=True, n_startup_trials=FIRST["tpe"])
            study.sampler = make_sampler("tpe", seed=n, trials=30) if ours else theirs
            trial = study.ask()
            spaces.suggest(trial)
            study.tell(trial, [trial.params["donors.k"], n % 7])
        drawn.append([one.params for one in study.get_trials(deepcopy=False)])
    assert drawn[0] == drawn[1]


def test_tpe_draws_the_fields_of_its_method_alone_and_finds_untried_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each draw is new, though blur has 109 configurations, most of which are better than all others."""
    space, drawn = SearchSpace("two", methods=("blur", "pixelate")), list[set[str]]()
    proposals = Proposals(space, OBJECTIVES, sampler="tpe", trials=150, seed=0, begun_with=150)
    sample = TPE._sample

    def noted(self: TPE, study: object, trial: object, over: dict[str, object]) -> object:
        drawn.append(set(over))
        return sample(self, study, trial, over)

    monkeypatch.setattr(TPE, "_sample", noted)
    for _ in range(100):
        asked = proposals.ask()
        assert asked is not None
        kernel = getattr(asked.anonymizer, "kernel", None)
        risk = 0.9 if kernel is None else 0.5 - kernel / 1000
        proposals.tell(asked, dict(zip(OBJECTIVES, (risk, 1 - risk), strict=True)))
    assert 97 <= proposals._drawn < 100  # besides three anchors; of the first ten, drawn at random, one may repeat
    assert all(names == {"method"} or len({name.partition(".")[0] for name in names}) == 1 for names in drawn)
    assert drawn.count({"method"}) < 97 < len(drawn) < 3 * 97
    asked_blurs = sum(name.startswith("Blur") for name in proposals._names)
    assert 50 < asked_blurs < 97  # the better ones mostly, and the others while of those none of the candidates is new


def test_what_is_withdrawn_leaves_no_trace() -> None:
    storage = shown.Shown()
    study = optuna.create_study(storage=storage, directions=["minimize"])
    for value in (0.5, 0.2):
        trial = study.ask()
        trial.suggest_int("n", 0, 9)
        study.tell(trial, value)
    study.set_user_attr("mine", 1)
    before = [(one.number, one._trial_id, one.params, one.state) for one in study.get_trials()]
    for waits in (False, True):
        if waits:
            study.enqueue_trial({"n": 3})
        trial = study.ask()
        trial.suggest_int("n", 0, 9)
        storage.set_study_system_attr(study._study_id, "parents", [0])
        storage.withdraw()
        assert [(one.number, one._trial_id, one.params, one.state) for one in study.get_trials()] == before
        assert storage.get_study_system_attrs(study._study_id) == {}
    assert study.ask().number == 2 and study.user_attrs == {"mine": 1}


def test_what_an_earlier_version_noted_of_draws_is_refused() -> None:
    proposals = Proposals(SPACE, OBJECTIVES, sampler="tpe", trials=5, seed=0, begun_with=5)
    with pytest.raises(ValueError, match="expected a draw's number"):
        proposals.recall("Blur(kernel=3, region='crop')", '[{"method": "blur", "blur.kernel": 3}]')
