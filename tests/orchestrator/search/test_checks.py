"""What is checked of a search's options before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluators.attackers import ATTACKERS, SEARCHING
from evaluators.networks.backends.race import AGREEMENT
from evaluators.networks.catalog.choice import PRECISIONS, Networks
from evaluators.networks.catalog.published import ZOO
from evaluators.options import changed, check_values, lasting
from orchestrator.search import __main__ as search
from orchestrator.search import make_panel
from orchestrator.search.checks import check_attackers, unmeasured
from orchestrator.search.faces import FaceChoice
from orchestrator.search.names import ATTACKER_NAMES, SEARCHING_NAMES, SPACE_NAMES
from orchestrator.search.settings import Machines, Settings
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
        (("fixed", "oracle"), r"--attacker: expected some of fixed, .*finetuned.*, got oracle"),
        (("fixed", "mapped", "fixed"), "expected different attackers"),
        (("mapped",), "expected fixed among them, got mapped"),
    ],
)
def test_a_choice_of_attackers_is_checked(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_attackers(names)


def test_the_rate_of_an_attacker_who_serves_can_be_an_objective() -> None:
    assert {"rank1_restored", "rank5_held_out"} < unmeasured(Settings(), FaceChoice(), None)
    assert "rank1_restored" not in unmeasured(Settings(attackers=("fixed", "restored")), FaceChoice(), None)


def test_what_was_pulled_can_be_an_objective(tmp_path: Path) -> None:
    settings, faces, networks = Settings(), FaceChoice(data=tmp_path), Networks(models=tmp_path)
    assert {"lpips", "fid", "kid"} <= unmeasured(settings, faces, networks)
    for name in ("lpips_vgg", "fid_inception"):
        path = tmp_path / ZOO[name].path
        path.parent.mkdir()
        path.touch()
    assert not {"lpips", "fid", "kid"} & unmeasured(settings, faces, networks)
    assert {"lpips", "fid", "kid"} <= unmeasured(settings, FaceChoice(), None)


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
        (FaceChoice(attacker_faces=-5), "--attacker-faces: expected at least 1, got -5"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            check_values(group)
    for group in (Settings(), Machines(), FaceChoice(), Networks()):
        check_values(group)
        assert changed(group) == []
    assert changed(Settings(objectives=("ssim", "mse"), trials=3)) == ["--trials", "--objective"]


def test_what_a_sweep_is_resumed_with_is_derived_from_the_options() -> None:
    assert lasting(Settings(trials=3), FaceChoice(seed=1)) == {
        "--objective": ["rank1_worst", "expression_kept"],
        "--attacker": ["fixed", "parrot", "retrained", "mapped"],
        "--seed": 1,
        "--min-pictures": None,
        "--max-pictures": None,
        "--attacker-faces": 2500,
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
