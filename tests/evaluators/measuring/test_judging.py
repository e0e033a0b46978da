"""Judges and readers on the demo world: what cheats keep, what a blur keeps, how the columns hang together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from anonymizers import Anonymizer, Blackout, Blur, Context, Faces, Identity, Pixelate, Word
from evaluators.demo import demo_protocol
from evaluators.demo.faces import render
from evaluators.demo.geometry import EXPRESSIONS
from evaluators.measuring.judging import sums_of_squares, verdicts_of
from evaluators.metrics.scores import Scores
from evaluators.panel import CannotLearnError, Panel
from evaluators.zoo import load_nets


@dataclass(frozen=True)
class BarCode(Anonymizer):
    """Write the coefficients of a face as gray bars: a code, and no face."""

    method: ClassVar[str] = "bar_code"
    needs: ClassVar[tuple[str, ...]] = ("coefficients",)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Draw a bar for each coefficient."""
        said = faces.signals["coefficients"]
        gray = ((said / 6 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        bars = gray.repeat_interleave(faces.size // gray.shape[1] + 1, 1)[:, : faces.size]
        return bars[:, None, None].expand_as(faces.images).contiguous()


@dataclass(frozen=True)
class Stock(Anonymizer):
    """Release one of seven fixed faces of a stranger, by the word that is told."""

    method: ClassVar[str] = "stock"
    needs: ClassVar[tuple[str, ...]] = ("expression",)

    def anonymize(self, faces: Faces, context: Context) -> Tensor:
        """Look the face up."""
        kinds = torch.arange(len(EXPRESSIONS))
        stock = render(torch.full_like(kinds, 9_999), kinds, kinds, intensity=torch.ones(len(kinds))).images
        return stock.to(faces.images.device)[faces.signals["expression"][:, 0].long()]


@pytest.fixture(scope="module")
def panel() -> Panel:
    protocol = demo_protocol(evaluated=40, attacker=80, background=4)
    return Panel(protocol, replace(load_nets(None), perceptual=()), attackers=("fixed",))


def kept(scores: Scores) -> float:
    return float(scores["expression_kept"])


def test_clear_faces_keep_everything_by_definition(panel: Panel) -> None:
    scores = panel.score(Identity())
    assert kept(scores) == pytest.approx(1) and scores.intervals["expression_kept"] == pytest.approx((1, 1))
    for judge in ("demo_teacher", "demo_coefficients"):
        assert scores[f"expression_kept_{judge}"] == pytest.approx(1)
    assert panel.reference is not None and panel.reference.admitted == ("demo_teacher", "demo_coefficients")


@pytest.mark.parametrize("method", [Blackout(), Word(), BarCode()], ids=repr)
def test_codes_keep_nothing_for_one_who_has_seen_faces_alone(method: Anonymizer, panel: Panel) -> None:
    scores = panel.score(method)
    assert kept(scores) <= 0.15
    if not isinstance(method, Blackout):  # and yet one who knows the code reads it
        assert scores["expression_r2_demo_coefficients_adapted"] > 0.3
    low, high = scores.intervals["expression_kept"]
    assert low <= kept(scores) <= high


def test_blackout_is_within_its_interval_of_zero(panel: Panel) -> None:
    low, high = panel.score(Blackout()).intervals["expression_kept"]
    assert low <= 0.0 <= high + 1e-6


@pytest.mark.slow
def test_seven_photographs_keep_no_more_than_their_word(panel: Panel) -> None:
    scores = panel.score(Stock())
    within = scores["expression_r2_beyond_word"]  # the teacher's word; the photographs are chosen by the renderer's
    assert within is not None and within < 0.1


@pytest.mark.slow
def test_what_is_kept_falls_along_both_ladders_and_the_shown_reader_reads_no_more(panel: Panel) -> None:
    for ladder in ([Blur(kernel=k) for k in (11, 31, 51, 101)], [Pixelate(block=b) for b in (4, 8, 16, 32)]):
        before = 1.0
        for method in ladder:
            scores = panel.score(method)
            for name in ("kappa_demo_teacher", "r2_demo_coefficients"):
                adapted, shown = scores[f"expression_{name}_adapted"], scores[f"expression_{name}_shown"]
                assert shown <= adapted + 0.1, (method, name, adapted, shown)
            assert kept(scores) <= before + 0.05, method
            before = kept(scores)


def test_kept_is_the_smallest_share_and_its_interval_is_paired(panel: Panel) -> None:
    scores = panel.score(Blur(kernel=31))
    shares = [scores[f"expression_kept_{judge}"] for judge in ("demo_teacher", "demo_coefficients")]
    assert kept(scores) == pytest.approx(min(1.0, *shares))
    reference = panel.reference
    assert reference is not None
    for judge, kind in (("demo_teacher", "kappa"), ("demo_coefficients", "r2")):
        read = min(scores[f"expression_{kind}_{judge}_{reader}"] for reader in ("adapted", "shown"))
        assert scores[f"expression_kept_{judge}"] == pytest.approx(read / reference.values[judge])


def test_a_face_that_nobody_described_leaves_both_sums() -> None:
    truth = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [3.0, 0.0]])
    said = torch.tensor([[1.0, 1.0], [5.0, 5.0], [0.0, 0.0]])
    error, spread = sums_of_squares(truth, said, torch.tensor([0, 0, 1]), 3)
    assert error.tolist() == [1, 9, 0] and spread.tolist() == [5, 9, 0]


def test_methods_are_told_by_signals_alone(panel: Panel) -> None:
    assert panel.clear.probe.expression.equal(panel.protocol.probe.expression)
    assert panel.describe()["told_by"] == "the renderer"


def test_a_judge_whom_no_reader_can_follow_is_not_admitted(panel: Panel) -> None:
    class Dice:
        name, coefficients, looks = "demo_coefficients", ("a",), False

        def describe(self, faces: Faces) -> Tensor:
            return torch.randn(len(faces), 1, generator=torch.Generator().manual_seed(len(faces)))

        def __call__(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 1), torch.nan)

    nets = replace(panel.nets, judges=(Dice(),))
    with pytest.raises(CannotLearnError, match=r"judges: expected one whose adapted reader .* got demo_coefficients"):
        Panel(panel.protocol, nets, attackers=("fixed",))


def test_the_bank_is_learned_on_faces_that_every_judge_describes(panel: Panel) -> None:
    class Half:
        name, coefficients, looks = "demo_coefficients", ("a",), False

        def describe(self, faces: Faces) -> Tensor:
            said = faces.signals["coefficients"][:, :1].clone()
            said[::2] = torch.nan
            return said

        def __call__(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 1), torch.nan)

    verdicts = verdicts_of(panel.clear, replace(panel.nets, judges=(panel.nets.teacher, Half())), seed=0)
    assert len(verdicts.rows) == len(panel.clear.attacker) // 2 and (verdicts.rows % 2 == 1).all()
