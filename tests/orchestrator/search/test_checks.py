"""What is checked of a search's options before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluators.attackers import ATTACKERS, SEARCHING
from evaluators.networks.backends.race import AGREEMENT
from evaluators.networks.catalog.choice import PRECISIONS, PREFERRED, Networks
from evaluators.networks.catalog.published import ZOO
from evaluators.options import changed, check_values, lasting, refuse_idle
from orchestrator.search import __main__ as search
from orchestrator.search import make_panel
from orchestrator.search.checks import IDLE, real_networks, unmeasured
from orchestrator.search.faces import FaceChoice
from orchestrator.search.names import ATTACKER_NAMES, SEARCHING_NAMES, SPACE_NAMES, check_attackers
from orchestrator.search.settings import Machines, Settings
from orchestrator.sweep.sampling.mirror import check_storage
from search_spaces import SPACES


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--embedder", "edgeface_xxs"],
            "--embedder: a choice of real networks needs real faces; give their folder as --data",
        ),
        (["--held-out", "edgeface_xxs"], "--held-out: a choice of real networks"),
        (["--teacher", "mini_xception"], "--teacher: a choice of real networks"),
        (["--embedder-input", "scale=1"], "--embedder-input: a choice of real networks"),
        (["--groups", "people.csv"], "--groups people.csv: does nothing on the demo world"),
        (["--data", ".", "--models", ".", "--groups", "no.csv"], "its first column people"),
        (["--data", ".", "--models", ".", "--teacher", "nobody"], "--teacher: expected one of facex"),
        (["--data", ".", "--models", ".", "--held-out", "edgeface_xxs"], "expected another family"),
        (["--data", ".", "--models", ".", "--embedder", "no.onnx"], "--embedder: expected an ONNX file"),
    ],
)
def test_the_searchs_options_are_checked(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(search.app, arguments)
    assert result.exit_code == 2 and sentence in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("fixed", "oracle"), r"--attacker: expected one of fixed, .*finetuned.*, got 'oracle'"),
        (("fixed", "mapped", "fixed"), "expected different attackers"),
        (("mapped",), "expected fixed among them, got mapped"),
    ],
)
def test_a_choice_of_attackers_is_checked(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_attackers(names)


def test_the_rate_of_an_attacker_who_serves_can_be_an_objective() -> None:
    reasons = unmeasured(Settings(), FaceChoice(), None)
    assert {"rank1_restored", "rank5_held_out"} < reasons.keys()
    given = " ".join(f"--attacker {name}" for name in (*SEARCHING, "held_out"))
    assert reasons["rank1_held_out"] == f"held_out is not among the attackers; give {given}"
    assert "rank1_restored" not in unmeasured(Settings(attackers=("fixed", "restored")), FaceChoice(), None)


def test_what_was_pulled_can_be_an_objective(tmp_path: Path) -> None:
    settings, faces, networks = Settings(), FaceChoice(data=tmp_path), Networks(models=tmp_path)
    assert {"lpips", "fid", "kid"} <= unmeasured(settings, faces, networks).keys()
    pull = f"python -m orchestrator.models pull fid_inception --models {tmp_path} gets it"
    assert unmeasured(settings, faces, networks)["fid"] == f"its network is not in {tmp_path}; {pull}"
    for name in ("lpips_vgg", "fid_inception"):
        path = tmp_path / ZOO[name].path
        path.parent.mkdir()
        path.touch()
    assert not {"lpips", "fid", "kid"} & unmeasured(settings, faces, networks).keys()
    assert {"lpips", "fid", "kid"} <= unmeasured(settings, FaceChoice(), None).keys()


def test_names_that_help_knows_are_those_of_the_tables() -> None:
    assert tuple(SPACES) == SPACE_NAMES and tuple(ATTACKERS) == ATTACKER_NAMES
    assert SEARCHING == SEARCHING_NAMES and tuple(AGREEMENT) == PRECISIONS


def test_options_have_the_values_that_they_may_have() -> None:
    for group, sentence in (
        (Settings(trials=0), "--trials: expected at least 1, got 0"),
        (Settings(time_budget=0.0), "--time-budget: expected more than 0, got 0"),
        (Settings(space=""), "--space: expected a value, got an empty one"),
        (Machines(gpus_per_panel=float("nan")), "--gpus-per-panel: expected at least 0, got nan"),
        (Machines(device="tpu"), "--device: expected one of auto, cpu, cuda, got 'tpu'"),
        (FaceChoice(seed=10**22), "--seed: expected at most 2147483647, got 10000000000000000000000"),
        (Settings(sampler="TPE"), "got 'TPE'; the nearest is tpe"),
        (Settings(objectives=("ssimm",)), "names, or what --list-metrics lists, got 'ssimm'; the nearest is"),
        (FaceChoice(attacker_faces=-5), "--attacker-faces: expected at least 1, got -5"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            check_values(group)
    for group in (Settings(), Machines(), FaceChoice(), Networks()):
        check_values(group)
        assert changed(group) == []
    assert changed(Settings(objectives=("ssim", "mse"), trials=3)) == ["--trials", "--objective"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--min-pictures", "3"], "--min-pictures 3: does nothing on the demo world"),
        (["--max-pictures", "3"], "--max-pictures 3: does nothing on the demo world"),
        (["--attacker-faces", "100"], "--attacker-faces 100: does nothing on the demo world"),
        (["--backend", "inprocess", "--panels", "2"], "--panels 2: does nothing with --backend inprocess"),
        (["--backend", "inprocess", "--gpus-per-panel", "0.5"], "--gpus-per-panel 0.5: does nothing with --backend"),
        (["--backend", "inprocess", "--address", "auto"], "--address auto: does nothing with --backend inprocess"),
        (["--data", ""], "--data: expected a path, got an empty one"),
        (["--space", "clasical"], "got 'clasical'; the nearest is classical"),
        (["--objective", "sim", "--objective", "mse"], "got 'sim'; the nearest is ssim"),
        (["--attacker", "Fixed"], "got 'Fixed'; the nearest is fixed"),
        (["--backend", "inprocess", "--device", "cuda"], "--device cuda: expected a GPU that torch sees"),
        (["--objective", "fid", "--objective", "mse"], "--objective fid: cannot be measured here: its network is of"),
    ],
)
def test_what_does_nothing_is_not_known_or_cannot_be_is_refused_by_name(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = CliRunner().invoke(search.app, arguments, env={"RAY_ADDRESS": None})
    assert result.exit_code == 2 and sentence in " ".join(result.output.split())


def test_what_the_environment_says_to_all_commands_is_no_option_that_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    refuse_idle(IDLE["inprocess"], Machines(backend="inprocess", address="10.0.0.1:6379"))
    with pytest.raises(ValueError, match="--address auto: does nothing"):
        refuse_idle(IDLE["inprocess"], Machines(backend="inprocess", address="auto"))


def test_a_network_of_the_attacker_held_out_is_wanted_where_he_is_asked(tmp_path: Path) -> None:
    faces, networks = FaceChoice(data=tmp_path), Networks(models=tmp_path)
    held_out = [real_networks(faces, networks, names) for names in (SEARCHING, (*SEARCHING, "held_out"))]
    assert [chosen and chosen.held_out for chosen in held_out] == [None, PREFERRED["held_out"][0]]
    named = real_networks(faces, replace(networks, held_out="edgeface_xxs"), (*SEARCHING, "held_out"))
    assert named is not None and named.held_out == "edgeface_xxs"


def test_what_a_sweep_is_resumed_with_is_derived_from_the_options() -> None:
    assert lasting(Settings(trials=3), FaceChoice(seed=1)) == {
        "--constraint": [],
        "--objective": ["rank1_worst", "expression_kept"],
        "--attacker": list(SEARCHING),
        "--publish": "png",
        "--seed": 1,
        "--min-pictures": None,
        "--max-pictures": None,
        "--attacker-faces": 2500,
        "--background-faces": 2500,
        "--depth": None,
        "--groups": None,
    }


def test_the_networks_that_were_chosen_reach_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def load(networks: Networks, **options: object) -> None:
        asked.update(options, networks=networks)
        raise InterruptedError

    monkeypatch.setattr(make_panel, "load_nets", load)
    monkeypatch.chdir(tmp_path)
    chosen = Networks(models=Path(), embedder="own.onnx", teacher="ferplus")
    make = make_panel.MakePanel(None, chosen.anywhere(), ("ssim", "mse"), device="cpu")  # type: ignore[arg-type]
    with pytest.raises(InterruptedError):
        make()
    assert asked["networks"] == replace(chosen, models=tmp_path, embedder=str(tmp_path / "own.onnx"))


@pytest.mark.parametrize("where", ["nonsense://x", "{}", "{}/nowhere/x.journal"])
def test_a_storage_that_cannot_be_opened_is_found_before_the_work(where: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--storage .*: expected a database or a journal file"):
        check_storage(where.format(tmp_path))
