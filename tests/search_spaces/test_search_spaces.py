"""Search spaces: what they suggest is an anonymizer, grids are even, and a space does not leave a field's range."""

from __future__ import annotations

import importlib
import itertools
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import optuna
import pytest
from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer, Blackout, Blur, Choice, Context, Faces, Integer, KSame, Pixelate, Real
from anonymizers.ranges import ranged
from search_spaces import SPACES, SearchSpace, load_space

NARROWED = SearchSpace(
    "narrowed",
    methods=("blur", "k_same"),
    narrowed={"blur.kernel": Integer(11, 51, step=4), "blur.region": "face", "k_same.variant": Choice(("select",))},
)


@dataclass(frozen=True)
class Warp(Anonymizer):
    method: ClassVar[str] = "warp"
    strength: float = ranged(Real(0.01, 1.0, log=True))
    cells: int = ranged(Integer(2, 32, step=3, log=True))
    kind: str = ranged(Choice(("a", "b")), default="a")

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        return faces.images.clone()


@pytest.fixture
def warp(monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchSpace]:
    monkeypatch.setitem(ANONYMIZERS, "warp", Warp)
    yield SearchSpace("warp", methods=("warp",))


def asked(space: SearchSpace, trials: int, points: list[dict[str, Any]] | None = None) -> list[Anonymizer]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for point in points or []:
        study.enqueue_trial(point)
    found = []
    for _ in range(trials):
        parameters = space.suggest(study.ask())
        found.append(space.decode(parameters))
    return found


@pytest.mark.parametrize("space", [*SPACES.values(), NARROWED], ids=lambda space: space.name)
def test_every_suggestion_is_an_anonymizer_of_the_space(space: SearchSpace) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = asked(space, 200)
    if space.configurations:
        assert set(found) == set(space.configurations)
        return
    assert {a.method for a in found} == set(space.methods)
    for anonymizer in found:
        for name, value in anonymizer.hyperparameters().items():
            over = space.ranges(anonymizer.method).get(name)
            assert over is None or over.holds(value)


def test_conditional_fields_are_asked_for_only_with_their_method() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        method = SPACES["classical"].suggest(trial)["method"]
        assert all(key == "method" or key.startswith(f"{method}.") for key in trial.params)


def test_fixed_values_and_a_single_method_are_not_asked_for() -> None:
    space = SearchSpace("one", methods=("blur",), narrowed={"blur.region": "face"})
    trial = optuna.create_study().ask()
    parameters = space.suggest(trial)
    assert set(trial.params) == {"blur.kernel"}
    assert space.decode(parameters) == Blur(kernel=trial.params["blur.kernel"], region="face")


def test_real_and_logarithmic_ranges(warp: SearchSpace) -> None:
    assert warp.size is None
    assert len({a.hyperparameters()["cells"] for a in asked(warp, 300)}) == 11
    points = [warp.decode(point).hyperparameters() for point in warp.points(18)]
    assert len(points) == 18
    strengths = sorted({point["strength"] for point in points})
    assert strengths == pytest.approx([0.01, 0.1, 1.0])
    assert {point["cells"] for point in points} == {2, 8, 32}


@pytest.mark.parametrize("space", [*SPACES.values(), NARROWED], ids=lambda space: space.name)
@pytest.mark.parametrize("limit", [5, 7, 13, 60, 100_000])
def test_points_are_tried_as_they_stand_and_do_not_repeat(space: SearchSpace, limit: int) -> None:
    if limit == 100_000 and space.size is None:
        assert 0.5 * limit < len(space.points(limit)) <= limit  # Optuna takes minutes to be asked for all of them
        return
    points = space.points(limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = asked(space, len(points), points)
    assert found == [space.decode(point) for point in points]
    assert len(set(found)) == len(found)
    if not space.configurations:
        assert limit / 3 < len(points) <= limit or len(points) == space.size
        assert {a.method for a in found} == set(space.methods)
    if limit == 100_000:
        assert len(points) == space.size


def test_an_even_grid_known_by_heart() -> None:
    space = SearchSpace("p", methods=("pixelate",), narrowed={"pixelate.block": Integer(4, 32, step=4)})
    assert space.size == 16
    assert [space.decode(p) for p in space.points(4)] == [
        Pixelate(block, region) for block in (4, 32) for region in ("crop", "face")
    ]
    assert sorted({space.decode(p).hyperparameters()["block"] for p in space.points(6)}) == [4, 20, 32]
    with pytest.raises(ValueError, match="at least 3 points, one per method, got 2"):
        SPACES["classical"].points(2)


def test_the_named_spaces() -> None:
    assert SPACES["classical_grid"].configurations == (
        *(Blur(kernel) for kernel in (11, 21, 31, 51, 71, 101)),
        *(Pixelate(block) for block in (4, 8, 12, 16, 24, 32)),
        Blackout(),
    )
    assert SPACES["k_same_grid"].configurations == tuple(KSame(k, "pixel") for k in (2, 5, 10, 20, 50))
    assert {name: space.size for name, space in SPACES.items()} == {
        "classical_grid": 13,
        "k_same_grid": 5,
        "adaptive_five": 5,
        "classical": 55 * 2 + 55 * 2 + 49 * 2 * 2,
        "classical_and_donors": 30 * 2 + 23 * 2 + 49 * 2 * 2 + 49 * 50,
        "classical_and_generator": None,
        "donors": None,
        "covering": None,
        "donors_on_photographs": 13,
        "bands": None,
        "generator": None,
        "refined": None,
        "refined_ablation": 7,
        "gan_vs_classical": 10,
        "published_generators": None,
        "conditioning_ablation": 5,
        "generators_on_photographs": 9,
        "conditioning_on_photographs": 3,
        "expression_loss_ablation": 4,
        "cloaks": 4,
    }
    for name, space in SPACES.items():
        assert space.name == name
        assert space.description


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "got both or neither"),
        ({"methods": ("blur",), "configurations": (Blackout(),)}, "got both or neither"),
        ({"configurations": (Blur(3), Blur(3))}, "twice"),
        ({"methods": ("smear",)}, "got \\['smear'\\]"),
        ({"methods": ("blur", "blur")}, "each method once"),
        ({"methods": ("blur",), "narrowed": {"pixelate.block": 4}}, "got pixelate.block"),
        ({"methods": ("blur",), "narrowed": {"blur.kernel": Integer(3, 113, step=2)}}, "leaves"),
        ({"methods": ("blur",), "narrowed": {"blur.kernel": Integer(3, 111)}}, "leaves"),
        ({"methods": ("blur",), "narrowed": {"blur.kernel": Integer(51, 11, step=2)}}, "leaves"),
        ({"methods": ("blur",), "narrowed": {"blur.kernel": 12}}, "leaves"),
        ({"methods": ("blur",), "narrowed": {"blur.region": Choice(("crop", "mouth"))}}, "leaves"),
    ],
)
def test_a_space_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSpace("wrong", **arguments)


def test_foreign_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of its 13 configurations, got .Blur"):
        SPACES["classical_grid"].decode({"configuration": "Blur(kernel=13, region='crop')"})
    with pytest.raises(ValueError, match="expected a method of"):
        SPACES["classical"].decode({"method": "blackout", "blackout.region": "crop"})


def test_a_space_is_loaded_by_name_or_import(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("my_spaces")
    module.MINE = NARROWED  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_spaces", module)
    assert load_space("my_spaces:MINE") is NARROWED
    assert load_space("classical") is SPACES["classical"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "atlantis",
            "expected one of classical_grid, k_same_grid, adaptive_five, classical, classical_and_donors, ",
        ),
        ("no.such.module:SPACE", "No module named 'no'"),
        ("json:SPACE", "expected a SearchSpace SPACE in .*, it has none"),
        ("json:dumps", "expected a SearchSpace, got function"),
        (":SPACE", "absolute module"),
        ("..spaces:SPACE", "absolute module"),
        ("json:", "absolute module"),
    ],
)
def test_a_space_that_cannot_be_found_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_space(name)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("MINE = (\n", r"own_space\.py, line 1: SyntaxError: '\(' was never closed"),
        ("import math\n\nMINE = math.sqrt(-1)\n", r"own_space\.py, line 3: ValueError: math domain error"),
        ("import no_such_package\n", r"own_space\.py, line 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit\n", r"own_space\.py, line 1: SystemExit"),
        (
            "from search_spaces import SearchSpace\nOURS = SearchSpace('ours', methods=('blur',))\n",
            r"expected a SearchSpace MINE in .*own_space\.py, it has OURS",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_its_line(
    lines: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_space.py").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_space", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match=message):
        load_space("own_space:MINE")


def test_a_spread_reaches_every_part_of_each_range() -> None:
    space = SearchSpace("here", methods=("blur", "generator"), narrowed={"blur.kernel": Integer(5, 101, step=2)})
    spread = space.spread("blur", 8, seed=3)
    kernels = sorted(one.hyperparameters()["kernel"] for one in spread)
    assert len(spread) == 8 and kernels[0] == 5 and kernels[-1] == 101
    assert max(b - a for a, b in itertools.pairwise(kernels)) <= 16  # 96 px in 7 steps, on odd numbers
    assert {one.hyperparameters()["region"] for one in spread} == {"crop", "face"}
    assert [repr(one) for one in space.spread("blur", 8, seed=3)] == [repr(one) for one in spread]
    assert [repr(one) for one in space.spread("blur", 8, seed=4)] != [repr(one) for one in spread]


def test_a_spread_of_a_list_is_taken_from_the_list() -> None:
    kernels = (11, 21, 31, 41, 51)
    space = SearchSpace("list", configurations=(*(Blur(kernel=k) for k in kernels), Pixelate(block=8)))
    assert space.spread("blur", 8) == [Blur(kernel=k) for k in kernels]
    assert len(space.spread("blur", 3)) == 3 and space.spread("pixelate", 8) == [Pixelate(block=8)]
