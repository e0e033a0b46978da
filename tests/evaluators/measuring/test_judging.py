"""Judges and readers on the demo world: what cheats keep, what a blur keeps, how the columns hang together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from anonymizers import Anonymizer, Blackout, Blur, Context, Donors, Faces, Identity, Pixelate, Word
from evaluators.demo import demo_protocol
from evaluators.demo.faces import render
from evaluators.demo.geometry import EXPRESSIONS, MOTIONS
from evaluators.measuring.judging import squares, verdicts_of
from evaluators.metrics.scores import Scores
from evaluators.networks.roles import Teacher
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


JUDGES = {"demo_teacher": "kappa", "demo_second_teacher": "kappa", "demo_coefficients": "r2"}


@pytest.fixture(scope="module")
def panel() -> Panel:
    protocol = demo_protocol(evaluated=40, attacker=80, background=4)
    return Panel(protocol, replace(load_nets(None), perceptual=()), attackers=("fixed",))


def kept(scores: Scores) -> float:
    return float(scores["expression_kept"])


def test_clear_faces_keep_everything_by_definition(panel: Panel) -> None:
    scores = panel.score(Identity())
    assert kept(scores) == pytest.approx(1) and scores.intervals["expression_kept"] == pytest.approx((1, 1))
    for judge in JUDGES:
        assert scores[f"expression_kept_{judge}"] == pytest.approx(1)
    assert panel.reference is not None and panel.reference.admitted == tuple(JUDGES)


class Silent(Blur):
    """Blur, and say nothing of how pixels are mixed."""

    def linear(self, size: int, scale: float) -> None:
        """Return nothing."""


def test_what_is_mixed_linearly_is_undone_before_it_is_read(panel: Panel) -> None:
    scores, silent = panel.score(Blur(kernel=31)), panel.score(Silent(kernel=31))
    for judge, kind in JUDGES.items():
        for reader in ("adapted", "shown"):
            name = f"expression_{kind}_{judge}_{reader}"
            assert scores[name] > silent[name] + 0.05, name
    assert kept(scores) > kept(silent) + 0.1


@pytest.mark.parametrize("method", [Blackout(), Word(), BarCode()], ids=repr)
def test_codes_keep_nothing_for_one_who_has_seen_faces_alone(method: Anonymizer, panel: Panel) -> None:
    scores = panel.score(method)
    assert kept(scores) <= 0.15
    if not isinstance(method, Blackout):  # and yet one who knows the code reads it
        assert scores["expression_kappa_demo_teacher_adapted"] > 0.3
    low, high = scores.intervals["expression_kept"]
    assert low <= kept(scores) <= high


def test_blackout_is_within_its_interval_of_zero(panel: Panel) -> None:
    low, high = panel.score(Blackout()).intervals["expression_kept"]
    assert low <= 0.0 <= high + 1e-6


def test_seven_photographs_keep_no_more_than_their_word(panel: Panel) -> None:
    scores = panel.score(Stock())
    assert kept(scores) <= 0.15
    within = scores["expression_r2_beyond_word"]  # the teacher's word; the photographs are chosen by the renderer's
    assert within is not None and within < 0.1


@pytest.mark.slow
def test_what_is_kept_falls_along_both_ladders_and_the_shown_reader_reads_no_more(panel: Panel) -> None:
    for ladder in ([Blur(kernel=k) for k in (11, 31, 51, 101)], [Pixelate(block=b) for b in (4, 8, 16, 32)]):
        before = 1.0
        for method in ladder:
            scores = panel.score(method)
            for name in (f"{kind}_{judge}" for judge, kind in JUDGES.items()):
                adapted, shown = scores[f"expression_{name}_adapted"], scores[f"expression_{name}_shown"]
                assert shown <= adapted + 0.1, (method, name, adapted, shown)
            assert kept(scores) <= before + 0.05, method
            before = kept(scores)


def test_kept_is_the_smallest_share_and_its_interval_is_paired(panel: Panel) -> None:
    scores = panel.score(Blur(kernel=31))
    shares = [scores[f"expression_kept_{judge}"] for judge in JUDGES]
    assert kept(scores) == pytest.approx(min(1.0, *shares))
    reference = panel.reference
    assert reference is not None
    for judge, kind in JUDGES.items():
        clear = reference.scores[judge]
        read = [scores[f"expression_{kind}_{judge}_{reader}"] / clear[reader].value for reader in ("adapted", "shown")]
        assert scores[f"expression_kept_{judge}"] == pytest.approx(min(read))


def test_a_face_that_nobody_described_counts_in_neither_sum() -> None:
    truth = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [3.0, 0.0]])
    said = torch.tensor([[1.0, 1.0], [5.0, 5.0], [0.0, 0.0]])
    error, spread = squares(truth, said)
    assert error.tolist() == [1, 0, 9] and spread.tolist() == [5, 0, 9]


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


def test_labels_are_read_by_who_learned_them_and_the_drop_is_from_clear_faces(panel: Panel) -> None:
    clear, blurred, black = (panel.score(method) for method in (Identity(), Blur(kernel=31), Blackout()))
    for name in ("accuracy", "macro_f1", "accuracy_adapted", "macro_f1_adapted"):
        column = f"expression_{name}"
        assert clear[column] > 0.4 and clear[f"{column}_drop"] == 0
        assert blurred[f"{column}_drop"] == pytest.approx(clear[column] - blurred[column])
        assert blurred[f"{column}_drop"] > 0.1
    assert black["expression_accuracy_adapted"] < 0.3  # everybody has the same answer


def test_the_judges_agree_as_scikit_learn_and_numpy_say(panel: Panel) -> None:
    facts, images = panel.describe(), panel.clear.probe.images
    one, other, _ = panel.nets.judges
    assert isinstance(one, Teacher) and isinstance(other, Teacher)
    answers = [judge(images).logits.argmax(1).numpy() for judge in (one, other)]
    pair = "demo_teacher, demo_second_teacher"
    assert facts["judges_agree"] == {pair: pytest.approx(cohen_kappa_score(*answers))}
    happy = EXPRESSIONS.index("happy")
    rest = [k for k in range(len(EXPRESSIONS)) if k != happy]
    logits = one(images).logits.double().numpy()
    smile = logits[:, happy] - logits[:, rest].mean(1)
    corner = panel.clear.probe.signals["coefficients"][:, MOTIONS.index("corner")].numpy()
    expected = np.corrcoef(smile, corner)[0, 1]
    assert facts["judges_smile"]["demo_teacher, demo_coefficients"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.4


def test_what_was_told_is_in_the_scores(panel: Panel) -> None:
    assert panel.score(Word()).told_by == panel.score(Donors(k=3)).told_by == "the renderer"
    assert panel.score(Blackout()).told_by == ""
